"""The tables in PostgreSQL for moving, and the seal: triggers that are there for as long as it is on."""

from __future__ import annotations

from alias_middleware.errors import StorageUnavailable
from alias_middleware.storage.postgresql import citus, locks
from alias_middleware.storage.postgresql.pool import Connection

MOVING = (
    "CREATE TABLE moves (name text PRIMARY KEY, value text NOT NULL)",
    "CREATE TABLE moved_days (day integer PRIMARY KEY, mark bytea NOT NULL)",
    *(
        f"DELETE FROM {derived} WHERE NOT EXISTS (SELECT 1 FROM frozen)"
        for derived in ("numbers", "rolled_days", "rollups")
    ),
    "CREATE INDEX people_by_number ON numbers (number)",
)
"""`moves`: the identity of these data, that of those they were filled from, and whether they are sealed.

Visitors' numbers are unique in the whole storage from here on, so that they may move with the roll-ups that have
them.
"""

_OPEN_TABLES = ("migrations", "moves", "moved_days", "numbers", "given_numbers", "rolled_days", "rollups")
"""Derived or our own: not sealed, so that questions are answered."""

_TABLES = """
    SELECT c.relname FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace
        AND c.relkind IN ('r', 'p') AND NOT c.relname = ANY(%s) ORDER BY c.relname <> 'profiles', c.relname
"""
_SEALED = "SELECT 1 FROM moves WHERE name = 'sealed'"
_NOTE = "INSERT INTO moves VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
_REFUSE = """
    CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF current_setting('alias_middleware.copying', true) IS DISTINCT FROM 'yes' THEN
            RAISE EXCEPTION 'sealed' USING ERRCODE = 'AMS01';
        END IF;
        RETURN coalesce(NEW, OLD);
    END $$
"""
_TRIGGER = """
    CREATE OR REPLACE TRIGGER sealed BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON {}
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
"""
_ROW_TRIGGER = """
    CREATE OR REPLACE TRIGGER sealed BEFORE INSERT OR UPDATE OR DELETE ON {}
    FOR EACH ROW EXECUTE FUNCTION refuse_change()
"""
_ALLOW_TRIGGERS = "SET LOCAL citus.enable_unsafe_triggers = on"
"""Citus wants it said that a trigger sees one shard only. Those for statements see none: it has those for rows."""


def is_sealed(connection: Connection) -> bool:
    """Tell whether the seal is on."""
    return connection.execute(_SEALED).fetchone() is not None


def noted(connection: Connection, name: str) -> str | None:
    """Give what is noted under a name."""
    row = connection.execute("SELECT value FROM moves WHERE name = %s", (name,)).fetchone()
    return row[0] if row else None


def put_on(connection: Connection, filled_from: str | None) -> None:
    """Seal every table, in one transaction: it waits for who is changing one, and who comes later is refused."""
    connection.execute("BEGIN")
    locks.take_turn(connection)
    connection.execute(_REFUSE)
    connection.execute(_ALLOW_TRIGGERS)
    trigger = _ROW_TRIGGER if citus.spread(connection) else _TRIGGER
    for (table,) in connection.execute(_TABLES, (list(_OPEN_TABLES),)).fetchall():
        connection.execute(trigger.replace("{}", table).encode())
    connection.execute(_NOTE, ("sealed", "yes"))
    if filled_from is not None and noted(connection, "filled_from") != filled_from:
        connection.execute("DELETE FROM moved_days")
        connection.execute(_NOTE, ("filled_from", filled_from))
    connection.execute("COMMIT")


def take_off(connection: Connection) -> None:
    """Open every table."""
    connection.execute("BEGIN")
    locks.take_turn(connection)
    connection.execute(_ALLOW_TRIGGERS)
    for (table,) in connection.execute(_TABLES, (list(_OPEN_TABLES),)).fetchall():
        connection.execute(f"DROP TRIGGER IF EXISTS sealed ON {table}".encode())
    connection.execute("DELETE FROM moves WHERE name = 'sealed'")
    connection.execute("DELETE FROM moved_days")
    connection.execute("COMMIT")


def lift(connection: Connection) -> None:
    """Begin a transaction that alone may change sealed tables.

    Raises:
        StorageUnavailable: they are not sealed, so somebody else may be changing them.
    """
    connection.execute("BEGIN")
    connection.execute("SET LOCAL alias_middleware.copying = 'yes'")
    if not is_sealed(connection):
        connection.execute("ROLLBACK")
        raise StorageUnavailable("only a sealed storage is filled", reason="not_sealed")
