"""Pseudonyms in PostgreSQL: which keys made them, visitors' lasting keys, and the way to new keys.

A rotation is one transaction. Citus does not change the column that rows are spread by: they are deleted and put
in again, here as there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from alias_middleware.errors import StorageUnavailable
from alias_middleware.identity import lasting_part, stored_part
from alias_middleware.storage.keyring import Keyring
from alias_middleware.storage.postgresql import locks
from alias_middleware.storage.postgresql.pool import Connection, Pool
from alias_middleware.storage.pseudonyms import OTHER_KEYS, Pseudonyms, Rotation

_READ_SECONDS = 1.0
_ROTATE_SECONDS = 7 * 24 * 3600.0
_AT_ONCE = 1_000

_MARK = "SELECT mark FROM pseudonyms WHERE namespace = %s"
_BEGIN = "INSERT INTO pseudonyms VALUES (%s, %s) ON CONFLICT (namespace) DO NOTHING"
_MOVE = "UPDATE pseudonyms SET mark = %s WHERE namespace = %s"
_KEEP = "INSERT INTO lasting_keys VALUES (%s, %s, %s) ON CONFLICT (namespace, key) DO NOTHING"
_KEEP_KNOWN = """
    INSERT INTO lasting_keys SELECT namespace, key, %s FROM visitors WHERE namespace = %s AND key = %s
    ON CONFLICT (namespace, key) DO NOTHING
"""
_NAMED = "SELECT key, concealed FROM lasting_keys WHERE namespace = %s AND key = ANY(%s)"
_FORGET = "DELETE FROM lasting_keys WHERE namespace = %s AND key = ANY(%s)"
_SERVICES = "SELECT id FROM services WHERE namespace = %s"
_EVERYBODY = """
    SELECT key FROM visitors WHERE namespace = %(namespace)s
    UNION SELECT key FROM profiles WHERE namespace = %(namespace)s
"""

_BY_NAMESPACE = ("profiles", "visitors", "numbers", "dispatches", "sealed_aliases")
_BY_SERVICE = ("orders", "refunds")
_BY_DAY = ("events", "arrivals")
"""Tables with visitor keys, by what their rows are found by."""


def mark_of(connection: Connection) -> Callable[[str, str], str]:
    """Give what tells a namespace's check value; the one it is given is kept where there is none."""

    def found(namespace: str, first: str) -> str:
        row = connection.execute(_MARK, (namespace,)).fetchone()
        if row is None:
            connection.execute(_BEGIN, (namespace, first))
        return first if row is None else str(row[0])

    return found


def keep_lasting(connection: Connection, keyring: Keyring, namespace: str, named: str, *, known: bool) -> None:
    """Keep the lasting key of a visitor who is named by it; where he may not be `known`, only if he is."""
    stored, lasting = stored_part(named), lasting_part(named)
    if stored != lasting:
        concealed = keyring.conceal(namespace, stored, lasting)
        if known:
            connection.execute(_KEEP, (namespace, stored, concealed))
        else:
            connection.execute(_KEEP_KNOWN, (concealed, namespace, stored))


def named_by(connection: Connection, keyring: Keyring, namespace: str, keys: Sequence[str]) -> dict[str, str]:
    """Give visitors named by both their keys, by visitor key: those whose lasting keys are kept."""
    rows = connection.execute(_NAMED, (namespace, list(keys)), binary=True).fetchall()
    return {key: keyring.reveal(namespace, key, concealed) for key, concealed in rows}


def forget_lasting(connection: Connection, namespace: str, keys: Sequence[str]) -> None:
    """Forget the lasting keys of visitors of whom nothing else is left."""
    connection.execute(_FORGET, (namespace, list(keys)))


class PostgreSQLPseudonyms(Pseudonyms):
    """The pseudonyms in one schema."""

    def __init__(self, pool: Pool, keyring: Keyring) -> None:
        """Use the storage's connections and keys."""
        self._pool = pool
        self._keyring = keyring

    def marks(self, namespace: str) -> list[str]:
        """Give the check value; a rotation leaves the old one or the new one."""
        try:
            with self._pool.connection(_READ_SECONDS) as connection:
                return [mark for (mark,) in connection.execute(_MARK, (namespace,)).fetchall()]
        except StorageUnavailable:
            return []

    def begin(self, namespace: str, mark: str) -> None:
        """Keep the first check value."""
        with self._pool.connection(_READ_SECONDS) as connection:
            connection.execute(_BEGIN, (namespace, mark))

    def rotate(self, rotation: Rotation) -> dict[str, int]:
        """Rewrite every table in one transaction that keeps batches and erasures out."""
        with self._pool.connection(_ROTATE_SECONDS) as connection:
            connection.execute("BEGIN")
            locks.take_turn(connection)
            changed: dict[str, int] = {}
            if self._stands_at(connection, rotation) != rotation.after:
                changed = self._rotate(connection, rotation)
                connection.execute(_MOVE, (rotation.after, rotation.namespace))
            connection.execute("COMMIT")
        return changed

    def _stands_at(self, connection: Connection, rotation: Rotation) -> str:
        row = connection.execute(_MARK, (rotation.namespace,)).fetchone()
        mark: str = rotation.after if row is None else row[0]
        if mark not in {rotation.before, rotation.after}:
            connection.execute("ROLLBACK")
            raise StorageUnavailable("it is keyed with other pseudonym_keys", reason=OTHER_KEYS)
        return mark

    def _rotate(self, connection: Connection, rotation: Rotation) -> dict[str, int]:
        namespace = rotation.namespace
        services = [id_ for (id_,) in connection.execute(_SERVICES, (namespace,)).fetchall()]
        asked = {"namespace": namespace, "services": services}
        for keys in _pages(connection, _EVERYBODY, asked):
            self._keep_all(connection, rotation, keys)
        changed = dict.fromkeys((*_BY_NAMESPACE, *_BY_SERVICE, *_BY_DAY), 0)
        for tables, where in ((_BY_NAMESPACE, "namespace = %(namespace)s"), (_BY_SERVICE, _OF_SERVICES)):
            for table in tables:
                for keys in _pages(connection, f"SELECT DISTINCT key FROM {table} WHERE {where}", asked):
                    rows = f"{where} AND key = ANY(%(keys)s)"
                    changed[table] += _rewrite(connection, table, rows, {**asked, "keys": keys}, rotation.rekeyed)
        for table in _BY_DAY:
            days = connection.execute(
                f"SELECT DISTINCT service, day FROM {table} WHERE {_OF_SERVICES}".encode(), asked
            ).fetchall()
            for service, day in sorted(days):
                rows, place = "service = %(service)s AND day = %(day)s", {"service": service, "day": day}
                changed[table] += _rewrite(connection, table, rows, place, rotation.rekeyed)
        return changed

    def _keep_all(self, connection: Connection, rotation: Rotation, keys: Sequence[str]) -> None:
        """Keep the lasting keys of some visitors beside their visitor keys to come."""
        namespace = rotation.namespace
        known = named_by(connection, self._keyring, namespace, keys)
        forget_lasting(connection, namespace, keys)
        rows = []
        for key in keys:
            rekeyed, lasting = rotation.rekeyed(key), lasting_part(known.get(key, key))
            rows.append((namespace, rekeyed, self._keyring.conceal(namespace, rekeyed, lasting)))
        connection.cursor().executemany(_KEEP, rows)


_OF_SERVICES = "service = ANY(%(services)s)"


def _pages(connection: Connection, query: str, asked: Mapping[str, Any]) -> Iterator[list[str]]:
    """Give keys some at a time, as of the query's own moment: what is put in meanwhile is not among them."""
    with connection.cursor(name="keys_to_rotate") as cursor:
        cursor.execute(query.encode(), asked)
        while rows := cursor.fetchmany(_AT_ONCE):
            yield [key for (key,) in rows]


def _rewrite(
    connection: Connection, table: str, where: str, asked: Mapping[str, Any], rekeyed: Callable[[str], str]
) -> int:
    """Delete some rows of a table and put them in again under new keys; give their number."""
    gone = connection.execute(f"DELETE FROM {table} WHERE {where} RETURNING *".encode(), asked)
    columns = [column.name for column in gone.description or ()]
    place = columns.index("key")
    with connection.cursor().copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN".encode()) as copy:
        for row in gone:
            copy.write_row((*row[:place], rekeyed(row[place]), *row[place + 1 :]))
    return gone.rowcount
