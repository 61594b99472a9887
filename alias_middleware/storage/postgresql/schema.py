"""The tables in PostgreSQL, as numbered migrations that only ever grow; `citus` spreads them over machines.

Truth is kept per visitor: every key of those tables contains the visitor key (or its keyed hash), and nothing
counts on a sequence, so that they can be spread over machines by it. `events` is keyed by local day first: a
day's rows stay together however long the history.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from psycopg import sql

from alias_middleware.errors import StorageUnavailable
from alias_middleware.storage.postgresql import citus
from alias_middleware.storage.postgresql.contact_tables import CONTACT
from alias_middleware.storage.postgresql.moving_tables import MOVING
from alias_middleware.storage.postgresql.pool import Connection
from alias_middleware.storage.postgresql.pseudonym_tables import PSEUDONYMS
from alias_middleware.storage.postgresql.rights_tables import LIVE_TIMES, NUMBERS, REPLACED, RIGHTS
from alias_middleware.storage.postgresql.views import VIEWS

_FIRST = (
    """CREATE TABLE services (
    id integer PRIMARY KEY,
    service text NOT NULL,
    namespace text NOT NULL,
    visit_gap_us bigint NOT NULL,
    UNIQUE (service, namespace)
)""",
    """CREATE TABLE profiles (
    namespace text NOT NULL,
    key text NOT NULL,
    not_before bigint NOT NULL,
    refuses_measure_us bigint,
    preferences bytea NOT NULL,
    personal bytea NOT NULL,
    consents bytea NOT NULL,
    stamps bytea NOT NULL,
    done bytea NOT NULL,
    PRIMARY KEY (namespace, key)
) WITH (fillfactor = 80)""",
    "CREATE INDEX refusals ON profiles (namespace, key) WHERE refuses_measure_us IS NOT NULL",
    """CREATE TABLE visitors (
    namespace text NOT NULL,
    key text NOT NULL,
    not_before bigint NOT NULL,
    knowledge bytea NOT NULL,
    habits bytea NOT NULL,
    PRIMARY KEY (namespace, key)
) WITH (fillfactor = 70)""",
    """CREATE TABLE events (
    day integer NOT NULL,
    service integer NOT NULL,
    key text NOT NULL,
    time_us bigint NOT NULL,
    id bigint NOT NULL,
    channel text NOT NULL,
    kind text NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (day, service, key, time_us, id)
)""",
    """CREATE TABLE arrivals (
    service integer NOT NULL,
    day integer NOT NULL,
    key text NOT NULL,
    PRIMARY KEY (service, day, key)
)""",
    """CREATE TABLE changes (
    service integer NOT NULL,
    day integer NOT NULL,
    mark bigint NOT NULL,
    PRIMARY KEY (service, day)
) WITH (fillfactor = 50)""",
    """CREATE TABLE orders (
    key text NOT NULL,
    service integer NOT NULL,
    order_id bytea NOT NULL,
    time_us bigint NOT NULL,
    id bigint NOT NULL,
    day integer NOT NULL,
    currency text NOT NULL,
    net bigint NOT NULL,
    cancelled boolean NOT NULL,
    PRIMARY KEY (key, service, order_id)
)""",
    "CREATE INDEX orders_of_day ON orders (service, day)",
    """CREATE TABLE refunds (
    key text NOT NULL,
    service integer NOT NULL,
    order_id bytea NOT NULL,
    time_us bigint NOT NULL,
    id bigint NOT NULL,
    amount bigint,
    PRIMARY KEY (key, service, order_id, time_us, id)
)""",
    """CREATE TABLE tombstones (
    namespace text NOT NULL,
    hash bytea NOT NULL,
    erased_us bigint NOT NULL,
    PRIMARY KEY (namespace, hash)
)""",
    """CREATE TABLE suppressions (
    namespace text NOT NULL,
    hash bytea NOT NULL,
    scope text NOT NULL,
    reason text NOT NULL,
    channel text NOT NULL,
    time_us bigint NOT NULL,
    PRIMARY KEY (namespace, hash, scope)
)""",
    """CREATE TABLE unidentified (
    service integer NOT NULL,
    day integer NOT NULL,
    page_views bigint NOT NULL,
    PRIMARY KEY (service, day)
)""",
    """CREATE TABLE category_sums (
    namespace text NOT NULL,
    category bytea NOT NULL,
    recent double precision NOT NULL,
    whole bigint NOT NULL,
    PRIMARY KEY (namespace, category)
) WITH (fillfactor = 50)""",
    "CREATE TABLE live (service text PRIMARY KEY, since_us bigint NOT NULL)",
    "CREATE TABLE counters (name text PRIMARY KEY, value bigint NOT NULL)",
    "CREATE TABLE positions (segment text PRIMARY KEY, position bigint NOT NULL)",
    """CREATE TABLE numbers (
    namespace text NOT NULL,
    key text NOT NULL,
    number integer NOT NULL,
    PRIMARY KEY (namespace, key)
)""",
    "CREATE INDEX numbers_given ON numbers (namespace, number)",
    """CREATE TABLE rolled_days (
    service integer NOT NULL,
    day integer NOT NULL,
    mark bigint NOT NULL,
    PRIMARY KEY (service, day)
)""",
    """CREATE TABLE rollups (
    service integer NOT NULL,
    section text NOT NULL,
    channel text NOT NULL,
    day integer NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (service, section, channel, day)
)""",
)

MIGRATIONS: Sequence[Sequence[str]] = (
    *(_FIRST, CONTACT, RIGHTS, NUMBERS, REPLACED, MOVING, PSEUDONYMS, VIEWS),
    LIVE_TIMES,
)
"""Each step's statements.

`profiles.done` has digests of the latest changes, see `carried_out`. `order_id` and `category` are UTF-8: `text`
does not hold every character. `arrivals` has the day of each visitor's first event at a service; `changes`
counts the changes of what a day's roll-up is made of. The last three tables are derived and may be emptied at
any time, together, as long as no day is frozen: see `rights_tables`.
"""

_MAKING_SECONDS = 60.0
"""How long whoever comes first waits for the tables, however short his own question."""

_KEEP_TRACK = "CREATE TABLE IF NOT EXISTS migrations (version integer PRIMARY KEY, at timestamptz NOT NULL)"


def ddl(schema: str, *, distributed: bool = False) -> Iterator[str]:
    """Give every statement that makes an up-to-date schema from nothing, for people with their own migrations."""
    yield f"CREATE SCHEMA IF NOT EXISTS {schema}"
    yield f"SET search_path = {schema}"
    yield _KEEP_TRACK
    for version, statements in enumerate(MIGRATIONS, start=1):
        yield from statements
        yield f"INSERT INTO migrations VALUES ({version}, now())"
    if distributed:
        yield from citus.distribution()


def version_of(connection: Connection) -> int:
    """Give the number of steps that the database has behind it."""
    if connection.execute("SELECT to_regclass('migrations')").fetchone() == (None,):
        return 0
    row = connection.execute("SELECT coalesce(max(version), 0) FROM migrations").fetchone()
    return int(row[0]) if row else 0


def migrate(connection: Connection, schema: str) -> int:
    """Bring the schema up to date in one transaction, one process at a time; give how many steps it took."""
    connection.execute("BEGIN")
    connection.execute("SET LOCAL statement_timeout = 0")  # a step may take its time, and others wait for it
    connection.execute("SET LOCAL lock_timeout = 0")
    connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"{schema} migrations",))
    connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
    connection.execute(_KEEP_TRACK)
    before = version_of(connection)
    for version, statements in enumerate(MIGRATIONS[before:], start=before + 1):
        for statement in statements:
            connection.execute(statement.encode())
        connection.execute("INSERT INTO migrations VALUES (%s, now())", (version,))
    connection.execute("COMMIT")
    if citus.spread(connection):  # a step may have made tables that a cluster does not know yet
        citus.distribute(connection)
    return max(0, len(MIGRATIONS) - before)


def require(connection: Connection, schema: str, *, create: bool) -> None:
    """Make sure that the tables are those of this version; make them where that is wanted.

    Raises:
        StorageUnavailable: they are missing, old, or made by a newer version of this library.
    """
    version = version_of(connection)
    if version < len(MIGRATIONS) and create:
        connection.deadline = time.monotonic() + _MAKING_SECONDS
        migrate(connection, schema)
        version = len(MIGRATIONS)
    if version < len(MIGRATIONS):
        raise StorageUnavailable(
            f"the schema {schema} is at step {version} of {len(MIGRATIONS)}: run `alias-middleware migrate`",
            reason="no_schema",
        )
    if version > len(MIGRATIONS):
        raise StorageUnavailable("the database was made by a newer alias_middleware", reason="newer")
