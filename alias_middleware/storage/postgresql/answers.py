"""Answering with roll-ups: those kept whose days have not changed since, and the others made anew.

A question sees the history as of one moment; what it had to make is kept for the next one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from alias_middleware.errors import StorageUnavailable
from alias_middleware.rollups.model import Days, Rollup, merge_periods
from alias_middleware.storage.base import Answer, Question, Scope
from alias_middleware.storage.changes import ServiceDay
from alias_middleware.storage.postgresql import citus, figures, locks, planning, questions
from alias_middleware.storage.postgresql.days import Unnumbered, roll_up_day
from alias_middleware.storage.postgresql.marks import marks
from alias_middleware.storage.postgresql.numbering import give_numbers, number_newcomers
from alias_middleware.storage.postgresql.pool import Connection
from alias_middleware.storage.postgresql.sections import CHANNELS, OF_THE_SERVICE, Rolled

_STALE = """
    SELECT s.namespace, s.service, c.day FROM changes c JOIN services s ON s.id = c.service
    LEFT JOIN rolled_days r ON r.service = c.service AND r.day = c.day
    WHERE r.mark IS DISTINCT FROM c.mark ORDER BY c.day, c.service
"""
_ATTEMPTS = 5
_AT_ONCE = 32
"""So many days are made before they are kept. Who asks for a year that nobody asked for before may be cut short by
his deadline; what was made until then is there when he asks again."""


def answer(connection: Connection, asked: Sequence[Question]) -> list[Answer]:
    """Answer as of one moment, then keep what was made.

    Where there is much to make it is kept meanwhile, and it begins again; so it does where a visitor has no
    number yet, once those of the next days that have to be made are given one. Days that change faster than that
    end it no later: what was kept once is no reason to begin again.
    """
    kept: set[ServiceDay] = set()
    attempts = _ATTEMPTS
    while attempts:
        answers = _Answers(connection, kept)
        try:
            return answers.answer(asked)
        except (_Enough, Unnumbered) as cut_short:
            connection.execute("ROLLBACK")
            made = answers.keep()
            attempts = _ATTEMPTS if made - kept else attempts - 1
            kept |= made
            if isinstance(cut_short, Unnumbered):
                _number_visitors(connection, sorted(answers.stale(asked))[:_AT_ONCE])
    raise StorageUnavailable("visitors come faster than they are counted", reason="locked")


def stale(connection: Connection) -> list[tuple[Scope, Days]]:
    """Give the days that are not kept as they are now, the oldest first."""
    rows = connection.execute(_STALE).fetchall()
    return [(Scope(namespace, service), (day, day + 1)) for namespace, service, day in rows]


def _number_visitors(connection: Connection, days: Sequence[ServiceDay]) -> None:
    """Number the newcomers of some days; where there are none, whoever came on them."""
    if days and not number_newcomers(connection, days):
        give_numbers(connection, days)


class _Enough(Exception):  # noqa: N818 - it says what is
    """So much was made that it had better be kept."""


class _Answers:
    """Some questions about one moment."""

    def __init__(self, connection: Connection, kept: Collection[ServiceDay]) -> None:
        """Ask over the connection; `kept` are the days that were made and kept for these questions before."""
        self._connection = connection
        self._kept = kept
        self._new = 0
        self._made: dict[ServiceDay, Rolled] = {}
        self._marks: dict[ServiceDay, int] = {}
        self._settled: Mapping[ServiceDay, int] = self._marks  # a server by itself commits all at once

    def stale(self, asked: Sequence[Question]) -> dict[ServiceDay, int]:
        """Give the days that have to be rolled up, with their marks, as of now."""
        stale: dict[ServiceDay, int] = {}
        for question in asked:
            held = self._held(question, questions.services(self._connection, question.scope))
            known = figures.find(self._connection, held, (), ())
            stale |= {day: mark for day, mark in held.items() if day not in known}
        return stale

    def _settle(self, asked: Sequence[Question]) -> dict[ServiceDay, int]:
        """Give the stale days' marks, once all that they were set for is on every machine of a cluster.

        The machines commit one after the other: of a mark that is seen first later, events may still be missing.
        """
        stale = self.stale(asked)
        if stale:
            self._connection.execute("BEGIN")
            locks.take_turn(self._connection)
            self._connection.execute("COMMIT")
        return stale

    def answer(self, asked: Sequence[Question]) -> list[Answer]:
        """Answer all of them in one snapshot."""
        if citus.is_spread(self._connection):
            self._settled = self._settle(asked)
        with self._connection.pipeline():
            self._connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            planning.look_up(self._connection)
        answers = [self._answer(question) for question in asked]
        self._connection.execute("COMMIT")
        self.keep()
        return answers

    def keep(self) -> set[ServiceDay]:
        """Keep what was made, of days that were settled, and give them."""
        made = {day: rolled for day, rolled in self._made.items() if self._is_settled(day)}
        if made:
            figures.keep(self._connection, made, self._marks)
        return set(made)

    def _is_settled(self, day: ServiceDay) -> bool:
        return self._settled.get(day) == self._marks[day]

    def _held(self, question: Question, services: Mapping[int, int]) -> dict[ServiceDay, int]:
        since = min((first for first, _ in question.periods), default=0)
        until = max((last for _, last in question.periods), default=0)
        return marks(self._connection, services, since, until)

    def _answer(self, question: Question) -> Answer:
        gaps_us = questions.services(self._connection, question.scope)
        channels = CHANNELS if question.scope.channel is None else (question.scope.channel,)
        held = self._held(question, gaps_us)
        found = figures.find(self._connection, held, channels, question.sections)
        days: dict[int, list[Rollup]] = defaultdict(list)
        for service, day in sorted(held):
            rolled = found.get((service, day))
            if rolled is None:
                rolled = self._make((service, day), held, gaps_us[service])
            days[day] += [rolled[channel] for channel in (*channels, OF_THE_SERVICE) if channel in rolled]
        since_us = question.erased_since_us
        erased = 0 if since_us is None else questions.erased(self._connection, gaps_us, since_us)
        return Answer(merge_periods(question.periods, days, question.sections), erased)

    def _make(self, day: ServiceDay, held: Mapping[ServiceDay, int], gap_us: int) -> Rolled:
        if day not in self._made:
            if self._new >= _AT_ONCE:
                raise _Enough
            self._made[day] = roll_up_day(self._connection, *day, gap_us)
            self._marks[day] = held[day]
            self._new += day not in self._kept and self._is_settled(day)
        return self._made[day]
