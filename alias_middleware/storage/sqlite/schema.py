"""The tables of the SQLite storage's three files, as numbered migrations that only ever grow.

The history file is written by the one elected writer; the preferences file by every request. Both are in
WAL mode. `events` is clustered by local day, so that a day's writes stay together however long the history.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from alias_middleware.errors import StorageUnavailable
from alias_middleware.storage.sqlite.contact_tables import CONTACT
from alias_middleware.storage.sqlite.moving_tables import MOVING, SEAL
from alias_middleware.storage.sqlite.pseudonym_tables import PSEUDONYMS
from alias_middleware.storage.sqlite.replacement_tables import REPLACED
from alias_middleware.storage.sqlite.rights_tables import RIGHTS
from alias_middleware.storage.sqlite.seals import SEALS
from alias_middleware.storage.sqlite.views import VIEWS, VISITS_AND_PURCHASES

HISTORY: Sequence[str] = (
    """
    CREATE TABLE services (
        id INTEGER PRIMARY KEY,
        service TEXT NOT NULL,
        namespace TEXT NOT NULL,
        visit_gap_us INTEGER NOT NULL,
        UNIQUE (service, namespace)
    );
    CREATE TABLE visitors (
        namespace TEXT NOT NULL,
        key TEXT NOT NULL,
        id INTEGER NOT NULL,
        not_before INTEGER NOT NULL,
        knowledge BLOB NOT NULL,
        PRIMARY KEY (namespace, key)
    ) WITHOUT ROWID;
    CREATE UNIQUE INDEX visitor_numbers ON visitors (id);
    CREATE TABLE events (
        day INTEGER NOT NULL,
        visitor INTEGER NOT NULL,
        time_us INTEGER NOT NULL,
        id INTEGER NOT NULL,
        service INTEGER NOT NULL,
        channel TEXT NOT NULL,
        kind TEXT NOT NULL,
        body NOT NULL,
        PRIMARY KEY (day, visitor, time_us, id)
    ) WITHOUT ROWID;
    CREATE TABLE pages (
        id INTEGER PRIMARY KEY,
        path TEXT NOT NULL,
        title TEXT,
        category TEXT
    );
    CREATE TABLE arrivals (
        service INTEGER NOT NULL,
        day INTEGER NOT NULL,
        visitor INTEGER NOT NULL,
        PRIMARY KEY (service, day, visitor)
    ) WITHOUT ROWID;
    CREATE TABLE changes (
        service INTEGER NOT NULL,
        day INTEGER NOT NULL,
        mark INTEGER NOT NULL,
        PRIMARY KEY (service, day)
    ) WITHOUT ROWID;
    CREATE TABLE orders (
        visitor INTEGER NOT NULL,
        service INTEGER NOT NULL,
        order_id TEXT NOT NULL,
        time_us INTEGER NOT NULL,
        id INTEGER NOT NULL,
        day INTEGER NOT NULL,
        currency TEXT NOT NULL,
        amount INTEGER NOT NULL,
        net INTEGER NOT NULL,
        cancelled INTEGER NOT NULL,
        PRIMARY KEY (visitor, service, order_id)
    ) WITHOUT ROWID;
    CREATE INDEX orders_of_day ON orders (service, day);
    CREATE TABLE refunds (
        visitor INTEGER NOT NULL,
        service INTEGER NOT NULL,
        order_id TEXT NOT NULL,
        time_us INTEGER NOT NULL,
        id INTEGER NOT NULL,
        amount INTEGER,
        PRIMARY KEY (visitor, service, order_id, time_us, id)
    ) WITHOUT ROWID;
    CREATE TABLE unidentified (
        service INTEGER NOT NULL,
        day INTEGER NOT NULL,
        page_views INTEGER NOT NULL,
        PRIMARY KEY (service, day)
    ) WITHOUT ROWID;
    CREATE TABLE turns (id INTEGER PRIMARY KEY, number INTEGER NOT NULL);
    CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE positions (segment TEXT PRIMARY KEY, position INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE tombstones (
        namespace TEXT NOT NULL,
        hash BLOB NOT NULL,
        erased_us INTEGER NOT NULL,
        PRIMARY KEY (namespace, hash)
    ) WITHOUT ROWID;
    CREATE TABLE suppressions (
        namespace TEXT NOT NULL,
        hash BLOB NOT NULL,
        scope TEXT NOT NULL,
        reason TEXT NOT NULL,
        channel TEXT NOT NULL,
        time_us INTEGER NOT NULL,
        PRIMARY KEY (namespace, hash, scope)
    ) WITHOUT ROWID;
    """,
    CONTACT,
    """
    ALTER TABLE visitors ADD COLUMN habits BLOB NOT NULL DEFAULT x'';
    CREATE TABLE category_sums (
        namespace TEXT NOT NULL,
        category TEXT NOT NULL,
        recent REAL NOT NULL,
        whole REAL NOT NULL,
        PRIMARY KEY (namespace, category)
    ) WITHOUT ROWID;
    CREATE TABLE live (service TEXT PRIMARY KEY, since_us INTEGER NOT NULL) WITHOUT ROWID;
    """,
    VIEWS,
    RIGHTS,
    REPLACED,
    """
    CREATE TABLE chronicles (visitor INTEGER PRIMARY KEY, knowledge BLOB NOT NULL, habits BLOB NOT NULL);
    INSERT INTO chronicles SELECT id, knowledge, habits FROM visitors ORDER BY id;
    CREATE TABLE known_visitors (
        namespace TEXT NOT NULL,
        key TEXT NOT NULL,
        id INTEGER NOT NULL,
        not_before INTEGER NOT NULL,
        PRIMARY KEY (namespace, key)
    ) WITHOUT ROWID;
    INSERT INTO known_visitors SELECT namespace, key, id, not_before FROM visitors;
    DROP TABLE visitors;
    ALTER TABLE known_visitors RENAME TO visitors;
    """,
    MOVING + SEAL,
    PSEUDONYMS,
    SEALS,
    VISITS_AND_PURCHASES,
    "ALTER TABLE main.live ADD COLUMN earliest_us INTEGER",
)
"""The history file, step by step.

The body of an event is JSON; that of a page view may be the number of a page instead. `arrivals` has the day of
each visitor's first event at a service. `changes` marks each day of a service with a number that is drawn anew
whenever what its roll-up is made of changes: roll-ups are kept in a file of their own. Who a visitor is stands in
`visitors` and never changes; what each batch changes of him is in `chronicles`, small rows by number, which are
replaced at a quarter of the cost of updating his columns in one row under his key. `live.earliest_us`: see
`replacing.LiveTime`; where there is none, live page views from before `since_us` may be stored.
"""

PREFERENCES: Sequence[str] = (
    """
    CREATE TABLE profiles (
        namespace TEXT NOT NULL,
        key TEXT NOT NULL,
        not_before INTEGER NOT NULL,
        preferences BLOB NOT NULL,
        personal BLOB NOT NULL,
        consents BLOB NOT NULL,
        stamps BLOB NOT NULL,
        refuses_measure_us INTEGER,
        PRIMARY KEY (namespace, key)
    ) WITHOUT ROWID;
    CREATE INDEX refusals ON profiles (namespace, key, refuses_measure_us)
        WHERE refuses_measure_us IS NOT NULL;
    CREATE TABLE applied (id INTEGER PRIMARY KEY);
    CREATE TABLE tombstones (
        namespace TEXT NOT NULL,
        hash BLOB NOT NULL,
        erased_us INTEGER NOT NULL,
        unfinished_key TEXT,
        PRIMARY KEY (namespace, hash)
    ) WITHOUT ROWID;
    CREATE INDEX unfinished ON tombstones (erased_us) WHERE unfinished_key IS NOT NULL;
    """,
    SEAL,
    PSEUDONYMS,
    "ALTER TABLE preferences.profiles ADD COLUMN done BLOB NOT NULL DEFAULT x''",
)
"""The preferences file. `unfinished_key` is set while an erasure has still to reach the history file.

`done`: see `carried_out`. It comes from another storage: whoever fails to change a profile here changed nothing.
"""

FIGURES: Sequence[str] = (
    """
    CREATE TABLE days (
        service INTEGER NOT NULL,
        day INTEGER NOT NULL,
        mark INTEGER NOT NULL,
        PRIMARY KEY (service, day)
    ) WITHOUT ROWID;
    CREATE TABLE sections (
        service INTEGER NOT NULL,
        section TEXT NOT NULL,
        channel TEXT NOT NULL,
        day INTEGER NOT NULL,
        body BLOB NOT NULL,
        PRIMARY KEY (service, section, channel, day)
    ) WITHOUT ROWID;
    """,
)
"""The file of roll-ups, which may be deleted at any time. A day's arrivals have the channel ''.

A number below zero stands for a block of days: see `blocks`.
"""


def migrate(connection: sqlite3.Connection, schema: str, steps: Sequence[str]) -> None:
    """Bring one attached file (`main` or `preferences`) up to date, in one transaction.

    Raises:
        StorageUnavailable: the file was written by a newer version of this library.
    """
    if _version(connection, schema) == len(steps):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = _version(connection, schema)
        if version > len(steps):
            raise StorageUnavailable("the database was made by a newer alias_middleware", reason="newer")
        for step in steps[version:]:
            for statement in filter(str.strip, step.split(";")):
                connection.execute(_in_schema(statement, schema))
        connection.execute(f"PRAGMA {schema}.user_version = {len(steps)}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _version(connection: sqlite3.Connection, schema: str) -> int:
    version: int = connection.execute(f"PRAGMA {schema}.user_version").fetchone()[0]
    return version


def _in_schema(statement: str, schema: str) -> str:
    words = statement.strip()
    for what in ("CREATE TABLE ", "CREATE INDEX ", "CREATE UNIQUE INDEX "):
        if words.startswith(what):
            return f"{what}{schema}.{words.removeprefix(what)}"
    return words
