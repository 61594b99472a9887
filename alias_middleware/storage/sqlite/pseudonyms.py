"""Pseudonyms in the SQLite storage: which keys made them, visitors' lasting keys, and the way to new keys.

Both files have a check value of their own and change each in one transaction. The preferences file goes first;
until its first rotation it has no value, and is keyed as the history file is.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing, suppress
from urllib.parse import quote

from alias_middleware.errors import StorageUnavailable
from alias_middleware.identity import lasting_part, stored_part
from alias_middleware.storage.keyring import Keyring
from alias_middleware.storage.pseudonyms import OTHER_KEYS, Pseudonyms, Rotation
from alias_middleware.storage.sqlite.connection import Connection
from alias_middleware.storage.sqlite.files import Files
from alias_middleware.storage.sqlite.recollection import draw
from alias_middleware.storage.sqlite.rows import select_by_keys

_KEYED = {"preferences": ("profiles",), "main": ("visitors", "dispatches", "sealed_aliases")}
"""The tables with visitor keys, by file, in the order in which the files are rotated; the first has everybody."""

_PEEK_SECONDS = 0.05
_BEGIN_SECONDS = 0.2
_TIMEOUT_SECONDS = 60.0
_AT_ONCE = 5_000


def mark_of(sql: sqlite3.Connection, namespace: str, first: str) -> str:
    """Give a namespace's check value; `first` is kept where there is none, in the open transaction."""
    row = sql.execute("SELECT mark FROM main.pseudonyms WHERE namespace = ?", (namespace,)).fetchone()
    if row is None:
        sql.execute("INSERT INTO main.pseudonyms VALUES (?, ?)", (namespace, first))
        return first
    return str(row[0])


def keep_lasting(sql: sqlite3.Connection, schema: str, keyring: Keyring, namespace: str, named: str) -> None:
    """Keep the lasting key of a visitor in one file, where he is named by it and has a row."""
    stored, lasting = stored_part(named), lasting_part(named)
    if stored != lasting:
        sql.execute(
            f"INSERT OR IGNORE INTO {schema}.lasting_keys SELECT namespace, key, ? "
            f"FROM {schema}.{_KEYED[schema][0]} WHERE namespace = ? AND key = ?",
            (keyring.conceal(namespace, stored, lasting), namespace, stored),
        )


def named_by(
    sql: sqlite3.Connection, keyring: Keyring, namespace: str, keys: Iterable[str], schema: str = "main"
) -> dict[str, str]:
    """Give visitors named by both their keys, by visitor key: those whose lasting keys the file has."""
    query = f"SELECT key, concealed FROM {schema}.lasting_keys"
    if sql.execute(f"{query} LIMIT 1").fetchone() is None:
        return {}
    rows = select_by_keys(sql, f"{query} WHERE namespace = ? AND key IN", (namespace,), list(keys))
    return {key: keyring.reveal(namespace, key, concealed) for key, concealed in rows}


def forget_lasting(sql: sqlite3.Connection, schema: str, namespace: str, key: str) -> None:
    """Forget the lasting key of a visitor of whom nothing else is left."""
    sql.execute(f"DELETE FROM {schema}.lasting_keys WHERE namespace = ? AND key = ?", (namespace, key))


class SQLitePseudonyms(Pseudonyms):
    """The pseudonyms in one storage's files."""

    def __init__(self, files: Files, keyring: Keyring, settle: Callable[[Connection], None]) -> None:
        """Use the storage's files and keys; `settle` finishes what is under way under the old keys."""
        self._files = files
        self._keyring = keyring
        self._settle = settle

    def marks(self, namespace: str) -> list[str]:
        """Look into the files as they are: nothing is made, nobody is kept waiting."""
        found: list[str] = []
        for path in (self._files.history, self._files.preferences):
            with suppress(sqlite3.Error, OSError):
                address = f"file:{quote(str(path.absolute()))}?mode=ro"
                with closing(sqlite3.connect(address, uri=True, timeout=_PEEK_SECONDS)) as sql:
                    query = "SELECT mark FROM pseudonyms WHERE namespace = ?"
                    found += [mark for (mark,) in sql.execute(query, (namespace,))]
        return list(dict.fromkeys(found))

    def begin(self, namespace: str, mark: str) -> None:
        """Keep the first check value, in the history file: a request waits for it."""
        query = "SELECT 1 FROM main.pseudonyms WHERE namespace = ?"
        with self._files.wrapped() as connection:
            if connection.sql.execute(query, (namespace,)).fetchone() is None:
                with connection.transaction(_BEGIN_SECONDS) as sql:
                    mark_of(sql, namespace, mark)

    def rotate(self, rotation: Rotation) -> dict[str, int]:
        """Rewrite one file after the other, then leave no byte of the old keys in either."""
        changed: Counter[str] = Counter()
        with self._files.wrapped() as connection:
            self._settle(connection)
            connection.sql.create_function("rekeyed", 1, rotation.rekeyed, deterministic=True)
            for schema, tables in _KEYED.items():
                begin = connection.preferences_transaction if schema == "preferences" else connection.transaction
                with begin(_TIMEOUT_SECONDS) as sql:
                    if self._stands_at(sql, schema, rotation) != rotation.after:
                        changed.update(self._rotate(sql, schema, tables, rotation))
            wipe(connection)
        return dict(changed)

    def _stands_at(self, sql: sqlite3.Connection, schema: str, rotation: Rotation) -> str:
        """Give a file's check value; the history file's where the preferences file has none yet."""
        for place in dict.fromkeys((schema, "main")):
            query = f"SELECT mark FROM {place}.pseudonyms WHERE namespace = ?"
            row = sql.execute(query, (rotation.namespace,)).fetchone()
            if row is not None:
                break
        mark: str = rotation.before if row is None else row[0]
        if mark not in {rotation.before, rotation.after}:
            raise StorageUnavailable("it is keyed with other pseudonym_keys", reason=OTHER_KEYS)
        return mark

    def _rotate(
        self, sql: sqlite3.Connection, schema: str, tables: Sequence[str], rotation: Rotation
    ) -> Mapping[str, int]:
        """Rewrite one file in the open transaction."""
        namespace = rotation.namespace
        if schema == "main":
            draw(sql)
        self._keep_all(sql, schema, tables[0], rotation)
        changed = {
            table: sql.execute(
                f"UPDATE {schema}.{table} SET key = rekeyed(key) WHERE namespace = ?", (namespace,)
            ).rowcount
            for table in tables
        }
        sql.execute(f"INSERT OR REPLACE INTO {schema}.pseudonyms VALUES (?, ?)", (namespace, rotation.after))
        return changed

    def _keep_all(self, sql: sqlite3.Connection, schema: str, table: str, rotation: Rotation) -> None:
        """Keep the lasting keys of everybody in a table beside their visitor keys to come."""
        namespace, after = rotation.namespace, ""
        query = f"SELECT key FROM {schema}.{table} WHERE namespace = ? AND key > ? ORDER BY key LIMIT {_AT_ONCE}"
        while page := [key for (key,) in sql.execute(query, (namespace, after))]:
            after = page[-1]
            known = named_by(sql, self._keyring, namespace, page, schema)
            for key in page:
                rekeyed, lasting = rotation.rekeyed(key), lasting_part(known.get(key, key))
                forget_lasting(sql, schema, namespace, key)
                sql.execute(
                    f"INSERT OR IGNORE INTO {schema}.lasting_keys VALUES (?, ?, ?)",
                    (namespace, rekeyed, self._keyring.conceal(namespace, rekeyed, lasting)),
                )


def wipe(connection: Connection) -> None:
    """Rewrite both files without what was deleted.

    secure_delete overwrites rows, but what SQLite moved between pages may leave copies; a file that is in use
    stays as it is till the next purge, and nothing but copies is left in it.
    """
    connection.wait(_TIMEOUT_SECONDS)
    for schema in ("main", "preferences"):
        with suppress(sqlite3.OperationalError):
            connection.sql.execute(f"VACUUM {schema}")
    connection.truncate_logs()
