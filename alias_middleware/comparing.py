"""Comparing two storages: every figure of every service, channel, namespace and day, and the rows of all parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import msgspec
from pyroaring import BitMap

from alias_middleware.events import Channel
from alias_middleware.rollups.counts import total
from alias_middleware.rollups.model import SECTIONS, Days, Rollup, united
from alias_middleware.statistics.summary import totals_of
from alias_middleware.storage.base import Question, Scope, Storage
from alias_middleware.storage.moving import EVENTS, PARTS, SERVICES, Moving, Part, Progress, pages

_CHANNELS: tuple[Channel | None, ...] = (None, "web", "sms")
_DAYS_AT_ONCE = 32
_ROWS = 2_000
_EVER = 0


class Discrepancy(NamedTuple):
    """A total that is not the same in both.

    `what` is a figure, or the name of a part; `where` says whose it is: a service or "* of" a namespace, a
    channel, a local day's ordinal. The values are numbers, or the rows' number with a checksum.
    """

    what: str
    where: str
    source: str
    target: str


class Comparison:
    """Two storages that should hold the same."""

    def __init__(
        self, source: Storage, target: Storage, progress: Progress = lambda part, done, whole: None
    ) -> None:
        """Compare `target` with `source`."""
        self._source = source
        self._target = target
        self._progress = progress

    def discrepancies(self) -> Iterator[Discrepancy]:
        """Name every total that differs.

        Raises:
            StorageError: one of the two does not answer.
        """
        yield from self._parts()
        scopes = list(_scopes(self._source.moving(), self._target.moving()))
        for number, scope in enumerate(scopes, start=1):
            yield from self._figures(scope)
            self._progress("figures", number, len(scopes))

    def _parts(self) -> Iterator[Discrepancy]:
        """Compare rows: how many, and a checksum that does not depend on their order; of events how many a day."""
        there, here = self._source.moving(), self._target.moving()
        for part in PARTS:
            if part not in here.keeps & there.keeps:
                continue
            if part is EVENTS:
                yield from _event_counts(there, here)
                continue
            one, other = _checksum(there, part), _checksum(here, part)
            if one != other:
                yield Discrepancy(part.name.replace("_", " "), "rows", *map(_said, (one, other)))

    def _figures(self, scope: Scope) -> Iterator[Discrepancy]:
        spans = [storage.span(scope) for storage in (self._source, self._target)]
        known = [span for span in spans if span is not None]
        if not known:
            return
        days = min(first for first, _ in known), max(last for _, last in known)
        for begin in range(days[0], days[1], _DAYS_AT_ONCE):
            several = range(begin, min(begin + _DAYS_AT_ONCE, days[1]) + 1)
            yield from self._compare(scope, list(pairwise(several)))
        if days[1] - days[0] > 1:
            yield from self._compare(scope, [days])

    def _compare(self, scope: Scope, periods: Sequence[Days]) -> Iterator[Discrepancy]:
        asked = [Question(scope, periods, SECTIONS, _EVER)]
        ((one,), (other,)) = self._source.rollups(asked), self._target.rollups(asked)
        for period, *two in zip(periods, one.rollups, other.rollups, strict=True):
            there, here = figures_of(two[0], erased=one.erased), figures_of(two[1], erased=other.erased)
            for name in there:
                if there[name] != here[name]:
                    yield Discrepancy(name, _where(scope, period), str(there[name]), str(here[name]))


def _scopes(*storages: Moving) -> Iterator[Scope]:
    """Give every service and every namespace of several, of each channel and of all."""
    rows = [row for storage in storages for page in pages(storage, SERVICES, _ROWS) for row in page]
    scopes = list(dict.fromkeys(Scope(namespace, service) for _, service, namespace, _ in rows))
    services = Counter(scope.namespace for scope in scopes)
    scopes += [Scope(namespace, None) for namespace, number in services.items() if number > 1]
    for scope in scopes:
        for channel in _CHANNELS:
            yield scope._replace(channel=channel)


def _where(scope: Scope, period: Days) -> str:
    whose = scope.service or f"* of {scope.namespace}"
    days = f"day {period[0]}" if period[1] - period[0] == 1 else f"days {period[0]} to {period[1] - 1}"
    return ", ".join([whose, *([scope.channel] if scope.channel else []), days])


def figures_of(rollup: Rollup, *, erased: int = 0) -> dict[str, Any]:
    """Give all that a roll-up says, without the numbers that a storage gave its visitors."""
    return {
        **msgspec.structs.asdict(totals_of(rollup, erased=erased)),
        "frequency": [len(each) for each in rollup.presence.begun],
        "visits": total(rollup.presence.begun),
        "newest event": rollup.presence.newest_us,
        "arrivals": len(rollup.arrivals.arrived),
        "hours": rollup.hours.quarters,
        "pages": {
            path: (page.page_views, _number(page.visitors), page.titled)
            for path, page in rollup.pages.paths.items()
        },
        "categories": {
            name: (each.page_views, len(each.visitors), len(each.buyers), each.revenue)
            for name, each in rollup.categories.names.items()
        },
        "products": {
            sku: (each.named, each.quantity, each.orders, _number(each.buyers), each.revenue)
            for sku, each in rollup.products.skus.items()
        },
        "orders": {currency: sorted(each.nets) for currency, each in rollup.money.orders.items() if each.nets},
    }


def _number(sets: Sequence[bytes]) -> int:
    return len(BitMap.deserialize(sets[0]) if len(sets) == 1 else united(sets))


def _event_counts(there: Moving, here: Moving) -> Iterator[Discrepancy]:
    for day in sorted(there.days().keys() | here.days().keys()):
        one, other = there.count(EVENTS, day=day), here.count(EVENTS, day=day)
        if one != other:
            yield Discrepancy("events", f"day {day}", str(one), str(other))


def _checksum(storage: Moving, part: Part) -> tuple[int, int]:
    """Count the rows and add up a hash of each, which is of this process only."""
    number = checksum = 0
    for rows in pages(storage, part, _ROWS):
        number += len(rows)
        checksum = (checksum + sum(map(hash, rows))) % 2**64
    return number, checksum


def _said(rows: tuple[int, int]) -> str:
    return f"{rows[0]} ({rows[1]:016x})"
