"""Asks a storage for roll-ups and answers with figures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from itertools import starmap
from typing import Any

from alias_middleware.events import Channel
from alias_middleware.local_time import LocalDays, from_micros
from alias_middleware.rollups.counts import anybody
from alias_middleware.rollups.model import Days, Rollup, Section
from alias_middleware.settings import Settings
from alias_middleware.statistics import clients, cohorts, definitions, frequency, hours, rankings, series
from alias_middleware.statistics.intervals import By, check_by, check_interval, ordinals, periods, previous
from alias_middleware.statistics.ratios import ratio
from alias_middleware.statistics.summary import (
    SUMMARY_SECTIONS,
    Summary,
    known_before,
    stretches_before,
    summarise,
    totals_of,
)
from alias_middleware.storage.base import Difference, Question, Scope, Storage
from alias_middleware.storage.clientele import Clientele

EVERY_SERVICE = "*"
"""Stands for all services of the namespace."""

_ANY = None
_REACH = frequency.DAYS[-1]


class Statistics:
    """The figures of a service, as of the latest events that the writer has drained.

    Intervals are half-open local dates. `channel`: "web" or "sms", both by default. `service`: another one's
    name, or "*" for all services of the namespace, whose visitors are the same people.

    Every method raises TypeError or ValueError for a question that makes no sense, and StorageError when the
    storage does not answer.
    """

    def __init__(self, storage: Storage, settings: Settings, *, waiting: Callable[[], int] | None = None) -> None:
        """Ask `storage` about the service that `settings` names; `waiting` counts the events in the spool."""
        self._storage = storage
        self._waiting = waiting
        self._settings = settings
        self._days = LocalDays(settings.tzinfo)

    def summary(
        self, since: date, until: date, *, channel: Channel | None = None, service: str | None = None
    ) -> Summary:
        """Give every figure over the local days from `since` to the one before `until`."""
        return self.summaries([(since, until)], channel=channel, service=service)[0]

    def summaries(
        self,
        intervals: Sequence[tuple[date, date]],
        *,
        channel: Channel | None = None,
        service: str | None = None,
    ) -> list[Summary]:
        """Give every figure over each of several intervals, as of one moment.

        It costs less than one `summary` after the other: what was before the first is read once.
        """
        for interval in intervals:
            check_interval(*interval)
        scope = self._scope(channel, service)
        questions = [
            Question(scope, [ordinals(*each)], SUMMARY_SECTIONS, self._days.start(each[0])) for each in intervals
        ]
        return self._summarised(list(intervals), questions, channel, service)

    def series(
        self,
        name: str,
        since: date,
        until: date,
        *,
        by: By = "day",
        compare: str | None = None,
        channel: Channel | None = None,
        service: str | None = None,
    ) -> series.Series:
        """Follow one figure of the summary by day, week or month.

        `compare="previous"` puts beside each period the one as many days, weeks or months before.
        """
        check_interval(since, until)
        check_by(by)
        series.check_name(name)
        if compare not in (None, "previous"):
            raise ValueError('compare is "previous" or None')
        divided = periods(since, until, by)
        before = previous(since, until, by) if compare else []
        every = [*divided, *before]
        question = Question(
            self._scope(channel, service), list(starmap(ordinals, every)), series.sections_of(name)
        )
        found = self._summarised(every, [question], channel, service, lifetime=series.looks_back(name))
        return series.Series(
            **self._asked(since, until, channel, service),
            name=name,
            by=by,
            compared=bool(compare),
            rows=series.points(name, found[: len(divided)], found[len(divided) :]),
        )

    def frequency(
        self, since: date, until: date, *, channel: Channel | None = None, service: str | None = None
    ) -> frequency.Frequency:
        """Group visitors by their number of visits, and visits by the days since the previous one."""
        check_interval(since, until)
        first, last = since.toordinal(), until.toordinal()
        reached = max(first - _REACH, 0)
        days = [(day, day + 1) for day in range(reached, last)]
        earlier, whole, *rolled = self._ask([(0, reached), (first, last), *days], ("presence",), channel, service)
        of_days = [frequency.day_of(rollup.presence) for rollup in rolled]
        totals = totals_of(whole)
        return frequency.Frequency(
            **self._asked(since, until, channel, service),
            visits_per_visitor=ratio(totals.visits, totals.visitors),
            rows=frequency.by_visits(whole.presence),
            recency=frequency.by_days_since(
                anybody(earlier.presence.begun), of_days[: first - reached], of_days[first - reached :]
            ),
        )

    def pages(
        self,
        since: date,
        until: date,
        *,
        top: int | None = 10,
        channel: Channel | None = None,
        service: str | None = None,
    ) -> rankings.Pages:
        """Give the `top` pages by page views, all of them with None."""
        rollup = self._whole(since, until, ("presence", "pages", "money"), channel, service)
        return rankings.Pages(
            **self._asked(since, until, channel, service),
            rows=rankings.rank_pages(rollup, top),
        )

    def categories(
        self,
        since: date,
        until: date,
        *,
        top: int | None = 10,
        channel: Channel | None = None,
        service: str | None = None,
    ) -> rankings.Categories:
        """Give the `top` categories by page views, all of them with None."""
        rollup = self._whole(since, until, ("presence", "categories"), channel, service)
        return rankings.Categories(
            **self._asked(since, until, channel, service),
            rows=rankings.rank_categories(rollup, top),
        )

    def products(
        self,
        since: date,
        until: date,
        *,
        top: int | None = 10,
        channel: Channel | None = None,
        service: str | None = None,
    ) -> rankings.Products:
        """Give the `top` products by quantity, all of them with None."""
        rollup = self._whole(since, until, ("products",), channel, service)
        return rankings.Products(
            **self._asked(since, until, channel, service),
            rows=rankings.rank_products(rollup, top),
        )

    def cohorts(
        self,
        since: date | None = None,
        until: date | None = None,
        *,
        by: By = "month",
        channel: Channel | None = None,
        service: str | None = None,
    ) -> cohorts.Cohorts:
        """Follow the visitors who were new in each day, week or month through the later ones.

        From the first recorded day on, to the last, unless the interval is given.
        """
        check_by(by)
        recorded = self._storage.span(self._scope(channel, service)) or (1, 1)
        since = since or date.fromordinal(recorded[0])
        until = until or max(since, date.fromordinal(recorded[1]))
        check_interval(since, until)
        divided = periods(since, until, by)
        before, *rolled = self._ask(
            [(0, since.toordinal()), *starmap(ordinals, divided)], ("presence", "arrivals"), channel, service
        )
        return cohorts.Cohorts(
            **self._asked(since, until, channel, service),
            by=by,
            rows=cohorts.triangle([first for first, _ in divided], rolled, before.arrivals.arrived),
        )

    def hours(
        self, since: date, until: date, *, channel: Channel | None = None, service: str | None = None
    ) -> hours.Hours:
        """Give page views and begun visits by day of the week and local hour."""
        rollup = self._whole(since, until, ("hours",), channel, service)
        return hours.Hours(
            **self._asked(since, until, channel, service), rows=hours.week_of(rollup, self._settings.tzinfo)
        )

    def visitors(
        self,
        *,
        order_by: clients.Order = "last_seen",
        limit: int = 50,
        after: str | None = None,
        currency: str = "EUR",
    ) -> clients.Clients:
        """Give a page of the namespace's visitors with what their whole history adds up to.

        `order_by`: first_seen, last_seen, visits, page_views, orders or revenue (in `currency`), the highest
        first. `after`: what the page before gave as its own.
        """
        clients.check_order(order_by)
        if limit < 1:
            raise ValueError("limit is a whole number from 1 up")
        place = None if after is None else clients.read_cursor(after)
        namespace = self._settings.namespace
        found = self._storage.clientele(Clientele(namespace, order_by, limit + 1, place, currency))
        last = found[limit - 1] if len(found) > limit else None
        return clients.Clients(
            namespace=namespace,
            order_by=order_by,
            currency=currency,
            rows=[clients.client_of(key, knowledge) for key, knowledge in found[:limit]],
            after=clients.cursor_of(clients.place_of(*last, order_by, currency)) if last else None,
        )

    def explain(
        self, name: str, *, channel: Channel | None = None, service: str | None = None
    ) -> definitions.Explanation:
        """Say what a figure means, what its dates mean, and how fresh it is; "visits", "pages.share", ..."""
        if name not in definitions.DEFINITIONS:
            raise ValueError(f"no figure has that name; there are {', '.join(sorted(definitions.DEFINITIONS))}")
        recorded = self._storage.span(self._scope(channel, service))
        newest_us = 0
        if recorded is not None:
            rolled = self._ask([(recorded[1] - 1, recorded[1])], ("presence",), channel, service)
            newest_us = rolled[0].presence.newest_us
        return definitions.Explanation(
            name=name,
            definition=definitions.DEFINITIONS[name],
            interval=definitions.INTERVAL,
            zone=self._settings.zone,
            newest_event=from_micros(newest_us) if newest_us else None,
            waiting=None if self._waiting is None else self._waiting(),
            attached_on=self.attached_before(date.max, service),
        )

    def verify(self, since: date, until: date) -> list[Difference]:
        """Recompute everything from raw events and name what differs; the list is empty when all is well.

        Of roll-ups, the local days from `since` to the one before `until` are compared; of visitors, what they
        favour included, and of everybody's sums per category the whole history.
        """
        check_interval(since, until)
        return self._storage.verify(since.toordinal(), until.toordinal())

    def _scope(self, channel: Channel | None, service: str | None) -> Scope:
        if channel not in (None, "web", "sms"):
            raise ValueError('channel is "web", "sms" or None for both')
        named = service or self._settings.service
        return Scope(self._settings.namespace, _ANY if named == EVERY_SERVICE else named, channel)

    def _asked(self, since: date, until: date, channel: Channel | None, service: str | None) -> dict[str, Any]:
        """Say what was asked, as every result does."""
        return {
            "service": service or self._settings.service,
            "channel": channel,
            "since": since,
            "until": until,
            "zone": self._settings.zone,
            "attached_on": self.attached_before(until, service),
        }

    def attached_before(self, until: date, service: str | None = None) -> date | None:
        """Give the day on which the aliases became the reference's, if it is before `until`.

        It is known of the service that the settings name; all services of the namespace together have its
        visitors since that day only.
        """
        attachment = self._settings.attachment
        concerned = service in (None, self._settings.service, EVERY_SERVICE)
        return attachment.on if attachment is not None and concerned and attachment.on < until else None

    def _ask(
        self,
        asked: Iterable[Days],
        sections: Sequence[Section],
        channel: Channel | None,
        service: str | None,
    ) -> list[Rollup]:
        question = Question(self._scope(channel, service), list(asked), sections)
        return self._storage.rollups([question])[0].rollups

    def _whole(
        self, since: date, until: date, sections: Sequence[Section], channel: Channel | None, service: str | None
    ) -> Rollup:
        check_interval(since, until)
        return self._ask([ordinals(since, until)], sections, channel, service)[0]

    def _summarised(
        self,
        intervals: Sequence[tuple[date, date]],
        questions: Sequence[Question],
        channel: Channel | None,
        service: str | None,
        *,
        lifetime: bool = True,
    ) -> list[Summary]:
        """Summarise the intervals that questions ask about, as of one moment.

        All orders from before them are read for `lifetime_clients` alone, and only with `lifetime`.
        """
        if not intervals:
            return []
        scope, asked = questions[0].scope, list(starmap(ordinals, intervals))
        sections: list[Section] = ["money"] if lifetime else []
        if scope.service is _ANY and "arrivals" in questions[0].sections:
            sections.append("arrivals")
        earlier = [Question(scope, stretches_before(asked), sections)] if sections else []
        answers = self._storage.rollups([*questions, *earlier])
        known = known_before(asked, answers.pop().rollups) if earlier else [None] * len(asked)
        counted = [(rollup, answer.erased) for answer in answers for rollup in answer.rollups]
        return [
            summarise(totals_of(rollup, before=before, erased=erased), **self._asked(*interval, channel, service))
            for interval, (rollup, erased), before in zip(intervals, counted, known, strict=True)
        ]
