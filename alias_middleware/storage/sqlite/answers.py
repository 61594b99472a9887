"""Answering with roll-ups: those kept whose days have not changed since, and the others made anew.

A question sees the history as of one moment; what it had to make is kept for the next one.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Mapping, Sequence

from alias_middleware.rollups.model import Rollup, merge_periods
from alias_middleware.storage.base import Answer, Question
from alias_middleware.storage.sqlite import questions
from alias_middleware.storage.sqlite.days import CHANNELS, OF_THE_SERVICE, roll_up_day
from alias_middleware.storage.sqlite.figures import FiguresFile, Rolled
from alias_middleware.storage.sqlite.files import Connection
from alias_middleware.storage.sqlite.marks import ServiceDay, marks
from alias_middleware.storage.sqlite.pages import ShownPages


class Answers:
    """Some questions about one moment."""

    def __init__(self, figures: FiguresFile) -> None:
        """Look for roll-ups in `figures`, and keep there what has to be made."""
        self._figures = figures
        self._made: dict[ServiceDay, Rolled] = {}
        self._marks: dict[ServiceDay, int] = {}

    def answer(self, connection: Connection, asked: Sequence[Question]) -> list[Answer]:
        """Answer as of one moment, then keep what was made."""
        with connection.snapshot() as sql:
            self._pages = ShownPages(sql)
            answers = [self._answer(sql, question) for question in asked]
        if self._made:
            self._figures.keep(self._made, self._marks, lambda: self._marks_now(connection.sql))
        return answers

    def _answer(self, sql: sqlite3.Connection, question: Question) -> Answer:
        gaps_us = questions.services(sql, question.scope)
        channels = CHANNELS if question.scope.channel is None else (question.scope.channel,)
        since = min((first for first, _ in question.periods), default=0)
        until = max((last for _, last in question.periods), default=0)
        held = marks(sql, gaps_us, since, until)
        found = self._figures.find(held, channels, question.sections)
        days: dict[int, list[Rollup]] = defaultdict(list)
        for service, day in held:
            rolled = found.get((service, day)) or self._make(sql, (service, day), held, gaps_us[service])
            days[day] += [rolled[channel] for channel in (*channels, OF_THE_SERVICE) if channel in rolled]
        erased_since_us = question.erased_since_us
        erased = 0 if erased_since_us is None else questions.erased(sql, gaps_us, erased_since_us)
        return Answer(merge_periods(question.periods, days, question.sections), erased)

    def _make(
        self, sql: sqlite3.Connection, day: ServiceDay, held: Mapping[ServiceDay, int], gap_us: int
    ) -> Rolled:
        if day not in self._made:
            self._made[day] = roll_up_day(sql, *day, gap_us, self._pages)
            self._marks[day] = held[day]
        return self._made[day]

    def _marks_now(self, sql: sqlite3.Connection) -> dict[ServiceDay, int]:
        services = {service for service, _ in self._made}
        days = [day for _, day in self._made]
        return marks(sql, services, min(days), max(days) + 1)
