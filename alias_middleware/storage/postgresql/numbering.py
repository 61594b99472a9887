"""The dense numbers by which roll-ups know visitors, given out when a roll-up first needs them.

They are derived, and no row of truth knows of them, unless days are frozen: those are made of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from alias_middleware.storage.changes import ServiceDay
from alias_middleware.storage.postgresql import locks, planning
from alias_middleware.storage.postgresql.arrays import columns_of
from alias_middleware.storage.postgresql.pool import Connection

_UNNUMBERED = (
    "(SELECT n.number FROM numbers n WHERE n.namespace = people.namespace AND n.key = people.key) IS NULL"
)
"""No NOT EXISTS: the planner might read all numbers for each visitor."""
_STRANGERS = f"""
    SELECT namespace, key FROM (
        SELECT DISTINCT s.namespace, e.key
        FROM unnest(%s::integer[], %s::integer[]) AS asked (service, day)
        JOIN services s ON s.id = asked.service
        JOIN events e ON e.day = asked.day AND e.service = asked.service
    ) people WHERE {_UNNUMBERED}
"""
_NEWCOMERS = f"""
    SELECT DISTINCT namespace, key FROM (
        SELECT s.namespace, a.key
        FROM unnest(%s::integer[], %s::integer[]) AS asked (service, day)
        JOIN services s ON s.id = asked.service
        JOIN arrivals a ON a.service = asked.service AND a.day = asked.day
    ) people WHERE {_UNNUMBERED}
"""
_HIGHEST = "SELECT namespace, highest FROM given_numbers"
_KEEP_HIGHEST = """
    INSERT INTO given_numbers SELECT * FROM unnest(%s::text[], %s::integer[])
    ON CONFLICT (namespace) DO UPDATE SET highest = excluded.highest
"""
_NUMBER_PEOPLE = (
    "INSERT INTO numbers (namespace, key, number) SELECT * FROM unnest(%s::text[], %s::text[], %s::integer[])"
)
_NUMBERS_OF = """
    SELECT n.namespace, n.key, n.number FROM unnest(%s::text[], %s::text[]) AS asked (namespace, key)
    JOIN numbers n ON n.namespace = asked.namespace AND n.key = asked.key
"""

Who = tuple[str, str]
"""A visitor by (namespace, key)."""


def number_newcomers(connection: Connection, days: Collection[ServiceDay]) -> bool:
    """Number those who came for the first time on some days; tell whether there was anybody without a number.

    Where days are rolled up as they pass nobody else has none, and no event need be looked at to find that out.
    """
    with _numbering(connection):
        newcomers = connection.execute(_NEWCOMERS.encode(), columns_of(days)).fetchall()
        _number(connection, newcomers)
    return bool(newcomers)


def give_numbers(connection: Connection, days: Collection[ServiceDay]) -> None:
    """Give every visitor of some days a number, unless he has one."""
    with _numbering(connection):
        _number(connection, connection.execute(_STRANGERS.encode(), columns_of(days)).fetchall())


def numbers_of(connection: Connection, people: Collection[Who]) -> dict[Who, int]:
    """Give the numbers of some visitors; who has none is given one."""
    if not people:
        return {}
    with _numbering(connection):
        rows = connection.execute(_NUMBERS_OF, columns_of(people)).fetchall()
        known = {(namespace, key): number for namespace, key, number in rows}
        return known | _number(connection, [who for who in people if who not in known])


@contextmanager
def _numbering(connection: Connection) -> Iterator[None]:
    """Be the only one to give numbers, in a transaction of its own."""
    with connection.pipeline():
        connection.execute("BEGIN")
        planning.look_up(connection)
        connection.execute(locks.NUMBERS.encode())
    yield
    connection.execute("COMMIT")


def _number(connection: Connection, strangers: Sequence[Who]) -> dict[Who, int]:
    """Give visitors without a number the next ones, in the order of their keys; from 1, whatever their namespaces.

    So they may move to another storage, with the roll-ups that have them.
    """
    if not strangers:
        return {}
    highest: dict[str, int] = dict(connection.execute(_HIGHEST).fetchall())
    first = max(highest.values(), default=0) + 1
    given = {who: number for number, who in enumerate(sorted(strangers), start=first)}
    highest |= {namespace: number for (namespace, _), number in given.items()}
    connection.execute(_NUMBER_PEOPLE, columns_of((*who, number) for who, number in given.items()))
    connection.execute(_KEEP_HIGHEST, columns_of(sorted(highest.items())))
    return given
