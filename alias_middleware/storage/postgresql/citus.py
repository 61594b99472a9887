"""How Citus spreads the tables over the machines of a cluster: by visitor, or whole on every one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from alias_middleware.storage.postgresql.pool import Connection

DISTRIBUTED: Mapping[str, tuple[str, str]] = {
    "profiles": ("key", "none"),
    **dict.fromkeys(
        (
            "visitors",
            "events",
            "arrivals",
            "orders",
            "refunds",
            "numbers",
            "dispatches",
            "lasting_keys",
            "sealed_aliases",
        ),
        ("key", "profiles"),
    ),
    "tombstones": ("hash", "none"),
    **dict.fromkeys(("suppressions", "disclosures"), ("hash", "tombstones")),
}
"""Every table with rows of visitors: the column that Citus spreads it by, and whose rows lie beside its own."""

REFERENCE = (
    "services", "changes", "unidentified", "category_sums", "live", "counters", "positions", "migrations",
    "rolled_days", "rollups",
    "campaigns", "contact_notes", "conversions", "erased_dispatches", "stray_messages", "suppression_keys",
    "horizons", "frozen", "given_numbers", "replaced", "pseudonyms",
    "moves", "moved_days", "view_salts",
)  # fmt: skip
"""Small tables that every machine of a cluster holds whole."""

_EXTENSION = "CREATE EXTENSION IF NOT EXISTS citus"
_SPREAD = """
    SELECT c.relname FROM pg_dist_partition p JOIN pg_class c ON c.oid = p.logicalrelid
    WHERE c.relnamespace = current_schema()::regnamespace
"""
_FORGET_LOCAL = "SELECT truncate_local_data_after_distributing_table('{}')"


def distribution() -> Iterator[str]:
    """Give the statements by which Citus spreads the tables."""
    yield _EXTENSION
    for _, statement in _placements():
        yield statement


def _placements() -> Iterator[tuple[str, str]]:
    """Give every table with the statement that gives it its place."""
    for table in REFERENCE:
        yield table, f"SELECT create_reference_table('{table}')"
    for table, (column, beside) in DISTRIBUTED.items():
        yield table, f"SELECT create_distributed_table('{table}', '{column}', colocate_with => '{beside}')"


def spread(connection: Connection) -> set[str]:
    """Give the tables of the schema that are spread; none where there is no Citus."""
    if connection.execute("SELECT to_regclass('pg_catalog.pg_dist_partition')").fetchone() == (None,):
        return set()
    return {name for (name,) in connection.execute(_SPREAD).fetchall()}


def is_spread(connection: Connection) -> bool:
    """Tell whether the tables lay on several machines when the connection was first asked."""
    if connection.is_spread is None:
        connection.is_spread = bool(spread(connection))
    return connection.is_spread


def distribute(connection: Connection) -> None:
    """Spread the tables over a Citus cluster; those that are spread already stay as they are.

    Citus copies the rows there are, and leaves the old ones where nobody sees them: they go, or an erasure later
    would not reach them.
    """
    connection.execute(_EXTENSION)
    already = spread(connection)
    for table, statement in _placements():
        if table not in already:
            holds_rows = connection.execute(f"SELECT FROM {table} LIMIT 1".encode()).rowcount
            connection.execute(statement.encode())
            if holds_rows:
                connection.execute(_FORGET_LOCAL.replace("{}", table).encode())
