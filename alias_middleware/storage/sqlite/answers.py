"""Answering with roll-ups: those kept whose days have not changed since, and the others made anew.

A question sees the history as of one moment; what it had to make is kept for the next one.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from alias_middleware.events import Channel
from alias_middleware.rollups.model import SECTIONS, Days, Rollup, Section, merge
from alias_middleware.storage.base import Answer, Question, Scope
from alias_middleware.storage.sqlite import blocks, questions
from alias_middleware.storage.sqlite.connection import Connection
from alias_middleware.storage.sqlite.days import CHANNELS, OF_THE_SERVICE, roll_up_day
from alias_middleware.storage.sqlite.figures import FiguresFile, Rolled
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
        asked = _Asked(sql, gaps_us, channels, question.sections)
        since = min((first for first, _ in question.periods), default=0)
        until = max((last for _, last in question.periods), default=0)
        held = marks(sql, gaps_us, since, until)
        known = sorted({day for _, day in held})
        covers = [blocks.cover(period, known) for period in question.periods]
        numbers = {number for each in covers for number in (*each.blocks, *each.days)}
        of_blocks = {named: mark for named, mark in blocks.marks_of(held).items() if named[1] in numbers}
        of_days = {named: mark for named, mark in held.items() if named[1] in numbers}
        rolled = self._days(asked, of_days) | self._blocks(asked, of_blocks, held)
        parts: dict[int, list[Rollup]] = defaultdict(list)
        for (_, number), by_channel in sorted(rolled.items(), key=_named):
            parts[number] += [by_channel[each] for each in (*channels, OF_THE_SERVICE) if each in by_channel]
        erased_since_us = question.erased_since_us
        erased = 0 if erased_since_us is None else questions.erased(sql, gaps_us, erased_since_us)
        merged = [
            merge((part for number in (*each.blocks, *each.days) for part in parts[number]), question.sections)
            for each in covers
        ]
        return Answer(merged, erased)

    def _days(self, asked: _Asked, held: Mapping[ServiceDay, int]) -> dict[ServiceDay, Rolled]:
        """Give days: those kept whose marks hold, and the others made anew."""
        found = self._figures.find(held, asked.channels, asked.sections)
        for day in held:
            if not found.get(day):
                found[day] = self._make(asked, day, held)
        return found

    def _make(self, asked: _Asked, day: ServiceDay, held: Mapping[ServiceDay, int]) -> Rolled:
        if day not in self._made:
            self._made[day] = roll_up_day(asked.sql, *day, asked.gaps_us[day[0]], self._pages)
            self._marks[day] = held[day]
        return self._made[day]

    def _blocks(
        self, asked: _Asked, wanted: Mapping[ServiceDay, int], held: Mapping[ServiceDay, int]
    ) -> dict[ServiceDay, Rolled]:
        """Give blocks of days; those not kept are made of their days, whole, for every question to come."""
        found = self._figures.find(wanted, asked.channels, asked.sections)
        for block, mark in wanted.items():
            if not found.get(block):
                if block not in self._made:
                    self._made[block] = self._merge(asked, block, held)
                    self._marks[block] = mark
                found[block] = self._made[block]
        return found

    def _merge(self, asked: _Asked, block: ServiceDay, held: Mapping[ServiceDay, int]) -> Rolled:
        service, (since, until) = block[0], blocks.days_of(block[1])
        theirs = {day: mark for day, mark in held.items() if day[0] == service and since <= day[1] < until}
        whole = asked._replace(channels=CHANNELS, sections=SECTIONS)
        return blocks.merge_days(self._days(whole, {day: mark})[day] for day, mark in theirs.items())

    def _marks_now(self, sql: sqlite3.Connection) -> dict[ServiceDay, int]:
        services = {service for service, _ in self._made}
        spans = [(day, day + 1) if day >= 0 else blocks.days_of(day) for _, day in self._made]
        held = marks(sql, services, min(since for since, _ in spans), max(until for _, until in spans))
        return held | blocks.marks_of(held)


def stale(sql: sqlite3.Connection, figures: FiguresFile) -> list[tuple[Scope, Days]]:
    """Give the days that are not kept as they are now, the oldest first.

    Blocks are left to who asks for months: to have all pages of 32 days in memory is no task for a site's worker.
    """
    kept = figures.marks()
    scopes = {id_: Scope(each.namespace, each.name) for id_, each in questions.every_service(sql).items()}
    held = marks(sql, scopes, 0, questions.LAST_DAY)
    days = sorted((day, service) for service, day in held if kept.get((service, day)) != held[service, day])
    return [(scopes[service], (day, day + 1)) for day, service in days]


class _Asked(NamedTuple):
    """What a question needs of each day: of which services, with the gaps of their visits, and what of it."""

    sql: sqlite3.Connection
    gaps_us: Mapping[int, int]
    channels: Sequence[Channel]
    sections: Sequence[Section]


def _named(rolled: tuple[ServiceDay, Rolled]) -> ServiceDay:
    """The order in which services' parts are merged: the same however they were come by."""
    return rolled[0]
