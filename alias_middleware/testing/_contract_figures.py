"""The part of the storage contract about figures: visits, visitors, orders, and random histories."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise, permutations

import pytest

from alias_middleware.events import Event
from alias_middleware.statistics import Baskets, Totals
from alias_middleware.storage.base import Batch, Entry, Origin, Storage
from alias_middleware.storage.memory import MemoryStorage
from alias_middleware.testing._check_figures import check_figures
from alias_middleware.testing._contract_case import ContractCase, counted, known
from alias_middleware.testing._contract_tastes import same_habits, same_sums
from alias_middleware.testing._retelling import retold
from alias_middleware.testing.histories import (
    ELSEWHERE,
    KEY,
    NEWS,
    SHOP,
    History,
    Teller,
    instant,
    local_day,
    random_history,
)

_SPACE = NEWS.namespace
_NOON = "2026-03-02T12:00"
_SERVICES = (NEWS, SHOP, ELSEWHERE)
SEEDS = range(8)
"""Each makes one random history; a failure tells it."""

_OUTCOMES = ("stored", "deduplicated", "dropped.erased", "dropped.no_consent")


def totals(storage: Storage, since: str, until: str, service: str = "news") -> Totals:
    """Count over local dates."""
    return counted(storage, service, local_day(since), local_day(until))


def feed(storage: Storage, *batches: list[Entry]) -> None:
    """Hand over one batch after the other."""
    for entries in batches:
        storage.apply(Batch(entries=entries))


class FiguresContract(ContractCase):
    """Totals and knowledge equal a recount of the raw events, whatever the order in which they came."""

    def test_of_nothing_there_is_nothing(self, storage: Storage) -> None:
        """A service never heard of has zeros everywhere."""
        assert totals(storage, "2026-03-01", "2026-04-01") == Totals()

    def test_the_interval_is_half_open(self, storage: Storage) -> None:
        """Local midnight divides; the first day is in, the last is not, and an empty interval is empty."""
        tell = Teller()
        feed(storage, [tell.view("2026-03-01T23:59:59.999999"), tell.of(key="b").view("2026-03-02T00:00")])
        days = ["2026-03-01", "2026-03-02", "2026-03-03"]
        counted = [totals(storage, since, until).page_views for since, until in pairwise(days)]
        assert counted == [1, 1]
        assert totals(storage, "2026-03-02", "2026-03-02") == Totals()

    @pytest.mark.parametrize(
        ("second", "visits"),
        [
            pytest.param("2026-03-02T12:30:00", 1, id="exactly the gap"),
            pytest.param("2026-03-02T12:30:00.000001", 2, id="a microsecond more"),
        ],
    )
    @pytest.mark.parametrize("order", [pytest.param(1, id="in order"), pytest.param(-1, id="reversed")])
    def test_a_gap_ends_a_visit(self, storage: Storage, second: str, visits: int, order: int) -> None:
        """A visit is a run with gaps of at most 30 minutes."""
        tell = Teller()
        feed(storage, *[[entry] for entry in [tell.view(_NOON), tell.view(second)][::order]])
        assert totals(storage, "2026-03-02", "2026-03-03").visits == visits
        assert known(storage, _SPACE, KEY).visits == visits

    def test_a_late_event_joins_two_visits(self, storage: Storage) -> None:
        """What arrives between two visits can make them one."""
        tell = Teller()
        feed(storage, [tell.view("2026-03-02T12:00"), tell.view("2026-03-02T12:50")])
        assert totals(storage, "2026-03-02", "2026-03-03").visits == 2
        feed(storage, [tell.track("2026-03-02T12:25")])
        assert totals(storage, "2026-03-02", "2026-03-03").visits == 1
        assert known(storage, _SPACE, KEY).visits == 1

    def test_a_visit_over_midnight_belongs_to_its_first_day(self, storage: Storage) -> None:
        """Its pages count on their own days; and a late, earlier event can move it to the day before."""
        tell = Teller()
        feed(storage, [tell.view("2026-03-02T23:50"), tell.view("2026-03-03T00:10")])
        found = [totals(storage, f"2026-03-0{day}", f"2026-03-0{day + 1}") for day in (2, 3)]
        assert [(each.visitors, each.visits, each.page_views) for each in found] == [(1, 1, 1), (1, 0, 1)]
        other = tell.of(key="b")
        feed(storage, [other.view("2026-03-03T00:10")], [other.view("2026-03-02T23:50")])
        assert [totals(storage, f"2026-03-0{day}", f"2026-03-0{day + 1}").visits for day in (2, 3)] == [2, 0]

    @pytest.mark.parametrize(
        ("times", "visits", "of_day"),
        [
            pytest.param(("T01:45+01:00", "T03:10+02:00"), 1, "2026-03-29", id="a day of 23 hours"),
            pytest.param(("T02:10+02:00", "T02:10+01:00"), 2, "2026-10-25", id="a day of 25 hours"),
        ],
    )
    def test_clocks_that_change(self, storage: Storage, times: list[str], visits: int, of_day: str) -> None:
        """Gaps are real time, days are local: an hour that is skipped or repeated makes no difference."""
        tell = Teller()
        feed(storage, [tell.view(of_day + time) for time in times])
        after = f"{of_day[:-2]}{int(of_day[-2:]) + 1}"
        found = totals(storage, of_day, after)
        assert (found.visits, found.page_views, found.visitors) == (visits, 2, 1)

    def test_channels_and_services_have_their_own_visits(self, storage: Storage) -> None:
        """Figures are a service's; knowledge spans the namespace; another namespace is another person."""
        tell = Teller()
        feed(
            storage,
            [
                tell.view(_NOON),
                tell.view(_NOON, channel="sms"),
                tell.of(origin=SHOP).view("2026-03-02T12:01"),
                tell.of(origin=ELSEWHERE).view("2026-03-02T12:02"),
            ],
        )
        found = [totals(storage, "2026-03-02", "2026-03-03", service) for service in ("news", "shop", "elsewhere")]
        assert [(each.visitors, each.visits, each.page_views) for each in found] == [
            (1, 2, 2),
            (1, 1, 1),
            (1, 1, 1),
        ]
        knowledge = known(storage, _SPACE, KEY)
        assert (knowledge.visits, knowledge.page_views) == (3, 3)
        assert (knowledge.first_seen, knowledge.last_seen) == (instant(_NOON), instant("2026-03-02T12:01"))

    def test_new_and_returning_visitors(self, storage: Storage) -> None:
        """New is who came for the first time ever inside the interval; a late event can undo it."""
        tell = Teller()
        feed(storage, [tell.view("2026-03-02T12:00"), tell.view("2026-03-05T12:00")])
        found = [totals(storage, *each).new_visitors for each in (("2026-03-02", "2026-03-06"),
                                                                   ("2026-03-05", "2026-03-06"))]  # fmt: skip
        assert found == [1, 0]
        feed(storage, [tell.track("2026-03-01T12:00")])
        assert totals(storage, "2026-03-02", "2026-03-06").new_visitors == 0

    def test_a_visitor_has_seen_a_page(self, storage: Storage) -> None:
        """Who only bought, or only left a tracked event, is a client or a visit, not a visitor."""
        tell = Teller()
        feed(storage, [tell.track(_NOON), tell.purchase("2026-03-02T13:00", "A")])
        found = totals(storage, "2026-03-02", "2026-03-03")
        assert (found.visitors, found.new_visitors, found.visits, found.clients) == (0, 0, 2, 1)

    @pytest.mark.parametrize(
        ("gap_hours", "first", "second"),
        [
            pytest.param(23.5, "2026-03-28T23:50", "2026-03-30T00:10", id="over a day of 23 hours"),
            pytest.param(47.5, "2026-03-27T23:50", "2026-03-30T00:10", id="over it and another"),
            pytest.param(25, "2026-10-24T23:50", "2026-10-26T00:10", id="a day of 25 hours ends it"),
        ],
    )
    def test_a_gap_may_reach_over_days(self, storage: Storage, gap_hours: float, first: str, second: str) -> None:
        """A visit that goes on after a whole quiet day belongs to the day on which it began, as on any other."""
        slow = Origin(service="slow", namespace=_SPACE, visit_gap_us=round(gap_hours * 3_600_000_000))
        tell = Teller(origin=slow)
        visits = 1 + (instant(second) - instant(first) > slow.visit_gap_us)
        feed(storage, [tell.view(first)], [tell.view(second)])
        assert totals(storage, "2026-01-01", "2027-01-01", "slow").visits == visits
        assert totals(storage, second[:10], f"{second[:8]}31", "slow").visits == visits - 1
        assert known(storage, _SPACE, KEY).visits == visits

    def test_the_gap_of_a_service_may_be_another(self, storage: Storage) -> None:
        """The gap comes with the service, and the one it first came with holds."""
        slow = Origin(service="slow", namespace=_SPACE, visit_gap_us=2 * NEWS.visit_gap_us)
        tell = Teller(origin=slow)
        feed(storage, [tell.view(_NOON), tell.view("2026-03-02T13:00")])
        changed = Origin(service="slow", namespace=_SPACE, visit_gap_us=1)
        later = tell.of(origin=changed)
        feed(
            storage,
            [tell.view("2026-03-02T13:59"), later.view("2026-03-02T14:00"), later.view("2026-03-02T15:00")],
        )
        assert totals(storage, "2026-03-02", "2026-03-03", "slow").visits == 1

    def test_an_order_under_two_settings_is_one(self, storage: Storage) -> None:
        """A batch may hold a service before and after its gap was changed; its orders are the same."""
        changed = Origin(service="news", namespace=_SPACE, visit_gap_us=1)
        tell = Teller()
        later = tell.of(origin=changed)
        feed(
            storage,
            [tell.purchase(_NOON, "A"), later.purchase("2026-03-02T12:01", "A"), later.refund(_NOON, "A", 1)],
        )
        knowledge = known(storage, _SPACE, KEY)
        assert (knowledge.orders, knowledge.revenue) == (1, {"EUR": 2_999_999})

    def test_of_an_orders_copies_the_least_counts(self, storage: Storage) -> None:
        """By time, then by id, whatever the order of arrival; the others are counted as conflicts."""
        for number, arrival in enumerate(permutations(range(3))):
            tell = Teller(key=f"k{number}", ids=iter(range(10 * number + 1, 10 * number + 4)))
            copies = [
                tell.purchase("2026-03-02T23:59", "A", "1.00", channel="sms"),
                tell.purchase("2026-03-02T23:59", "A", "2.00"),
                tell.purchase("2026-03-03T00:01", "A", "3.00", currency="CHF"),
            ]
            outcomes = [storage.apply(Batch(entries=[copies[index]])) for index in arrival]
            assert sum(outcome.stored for outcome in outcomes) == 1
            assert sum(outcome.conflicts for outcome in outcomes) == 2
            knowledge = known(storage, _SPACE, tell.key)
            assert (knowledge.orders, knowledge.revenue, knowledge.visits) == (1, {"EUR": 1_000_000}, 1)
            assert knowledge.first_seen == knowledge.last_seen == instant("2026-03-02T23:59")
            assert [event.channel for event in storage.history(_SPACE, tell.key, 9)] == ["sms"]
        assert totals(storage, "2026-03-03", "2026-03-04").clients == 0
        assert totals(storage, "2026-03-02", "2026-03-03").baskets == {"EUR": {1: Baskets(6, 6_000_000)}}

    def test_equal_copies_of_an_order_are_no_conflict(self, storage: Storage) -> None:
        """An app that says the same twice is understood."""
        tell = Teller()
        outcome = storage.apply(Batch(entries=[tell.purchase(_NOON, "A"), tell.purchase("2026-03-02T12:01", "A")]))
        assert (outcome.stored, outcome.deduplicated, outcome.conflicts) == (1, 1, 0)

    def test_an_order_id_belongs_to_a_visitor_and_a_service(self, storage: Storage) -> None:
        """Others may use the same id."""
        tell = Teller()
        feed(storage, [one.purchase(_NOON, "A") for one in (tell, tell.of(key="b"), tell.of(origin=SHOP))])
        assert totals(storage, "2026-03-02", "2026-03-03").baskets == {"EUR": {1: Baskets(2, 6_000_000)}}
        assert known(storage, _SPACE, KEY).orders == 2

    @pytest.mark.parametrize(
        ("amounts", "left"),
        [
            pytest.param([1_000_000], 2_000_000, id="a part"),
            pytest.param([1_000_000, 500_000], 1_500_000, id="two parts"),
            pytest.param([1_000_000, 2_000_000], None, id="parts that make the whole"),
            pytest.param([None], None, id="the whole"),
            pytest.param([1_000_000, None], None, id="a part, then the whole"),
            pytest.param([99_000_000], None, id="more than was paid"),
        ],
    )
    @pytest.mark.parametrize(
        "before", [pytest.param(False, id="after"), pytest.param(True, id="before the order")]
    )
    def test_refunds(self, storage: Storage, amounts: list[int | None], left: int | None, before: bool) -> None:
        """A refund waits for its order, counts on the order's day and never exceeds it; the whole cancels."""
        tell = Teller()
        order = [tell.purchase(_NOON, "A"), tell.purchase(_NOON, "B", "1.00")]
        refunds = [[tell.refund(f"2026-03-0{4 + number}T12:00", "A", each)] for number, each in enumerate(amounts)]
        feed(storage, *([*refunds, order] if before else [order, *refunds]))
        found = totals(storage, "2026-03-02", "2026-03-03")
        kept = {1: Baskets(1, 1_000_000)} if left is None else {2: Baskets(1, 1_000_000 + left)}
        assert (found.cancelled_orders, found.clients, found.baskets) == (left is None, 1, {"EUR": kept})
        knowledge = known(storage, _SPACE, KEY)
        assert knowledge.orders == 1 + (left is not None)
        assert knowledge.revenue == {"EUR": 1_000_000 + (left or 0)}
        assert totals(storage, "2026-03-04", "2026-03-09") == Totals()

    def test_a_refund_alone_is_no_visit(self, storage: Storage) -> None:
        """The publisher makes it: the visitor was not there."""
        feed(storage, [Teller().refund(_NOON, "A")])
        knowledge = known(storage, _SPACE, KEY)
        assert (knowledge.first_seen, knowledge.visits, knowledge.orders) == (None, 0, 0)
        assert totals(storage, "2026-03-02", "2026-03-03") == Totals()

    def test_cancelled_clients_are_none(self, storage: Storage) -> None:
        """A client has at least one order that was not cancelled."""
        tell = Teller()
        feed(storage, [tell.purchase(_NOON, "A"), tell.refund(_NOON, "A")])
        found = totals(storage, "2026-03-02", "2026-03-03")
        assert (found.clients, found.cancelled_orders, found.baskets) == (0, 1, {})

    @pytest.mark.parametrize("seed", SEEDS)
    def test_random_histories_equal_the_reference(self, storage: Storage, seed: int) -> None:
        """Fed in another order and in pieces, every figure equals a slow recount of what was fed in one batch."""
        history = random_history(seed)
        for reference in retold(history, seed, storage):
            compare(storage, reference, history)


def _pages(storage: Storage, person: tuple[str, str]) -> Iterator[Event]:
    """A visitor's history page by page."""
    page = storage.history(*person, 3)
    while page:
        yield from page
        page = storage.history(*person, 3, before_us=page[-1].time_us)


def compare(storage: Storage, reference: MemoryStorage, history: History) -> None:
    """Compare everything that can be asked of two storages; where they differ the error tells the history."""
    try:
        _compare(storage, reference, history)
    except AssertionError as error:
        error.add_note(history.told())
        raise


def _compare(storage: Storage, reference: MemoryStorage, history: History) -> None:
    for origin in _SERVICES:
        for since in history.days:
            for until in (since + 1, history.days.stop):
                asked = (origin.service, since, until)
                assert counted(storage, *asked) == counted(reference, *asked), asked
    check_figures(storage, reference, history)
    assert storage.verify(history.days.start, history.days.stop) == []
    people = {(entry.origin.namespace, entry.event.key) for phase in history.phases for entry in phase.entries}
    for person in people:
        whole = reference.history(*person, 1000)
        assert storage.history(*person, 1000) == whole, person
        assert list(_pages(storage, person)) == whole, person
        assert storage.read_profile(*person) == reference.read_profile(*person), person
        assert known(storage, *person) == known(reference, *person), person
        assert same_habits(storage, reference, *person), person
        assert storage.erased_at(*person) == reference.erased_at(*person), person
    for namespace in {origin.namespace for origin in _SERVICES}:
        assert same_sums(storage.category_sums(namespace), reference.category_sums(namespace)), namespace
    one, other = storage.ledger().counts, reference.ledger().counts
    assert [one.get(name, 0) for name in _OUTCOMES] == [other.get(name, 0) for name in _OUTCOMES]
