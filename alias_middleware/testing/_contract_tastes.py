"""The part of the storage contract about habits: a visitor's sums, and everybody's."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import permutations

import pytest

from alias_middleware.habits import Habits, Strength, decayed, decode_habits
from alias_middleware.interests import Sums
from alias_middleware.profile import stored_habits
from alias_middleware.storage.base import Batch, Entry, Storage
from alias_middleware.testing._contract_case import ContractCase
from alias_middleware.testing.histories import ELSEWHERE, KEY, NEWS, SHOP, Teller, instant

_SPACE = NEWS.namespace
_NOON = "2026-03-02T12:00"


def habits(storage: Storage, namespace: str, key: str) -> Habits:
    """Give what a storage keeps of a visitor's habits."""
    return decode_habits(stored_habits(storage.read_knowledge(namespace, key)))


def same_habits(storage: Storage, reference: Storage, namespace: str, key: str) -> bool:
    """Tell whether two storages keep the same habits: counts and titles exactly, sums within 1e-9."""
    one, other = habits(storage, namespace, key), habits(reference, namespace, key)
    return (
        same_categories(storage, reference, namespace, key)
        and one.pages.keys() == other.pages.keys()
        and all(
            (each.titled_s, each.title) == (other.pages[path].titled_s, other.pages[path].title)
            and each.recent == pytest.approx(other.pages[path].recent, rel=1e-9)
            for path, each in one.pages.items()
        )
    )


def same_categories(storage: Storage, reference: Storage, namespace: str, key: str) -> bool:
    """Tell whether two storages keep the same of a visitor's categories."""
    one, other = (habits(each, namespace, key).categories for each in (storage, reference))
    return one.keys() == other.keys() and all(_same_strength(each, other[name]) for name, each in one.items())


def _same_strength(one: Strength, other: Strength) -> bool:
    counts = [(each.pages, each.carts, each.purchases, each.since_s) for each in (one, other)]
    return counts[0] == counts[1] and one.recent == pytest.approx(other.recent, rel=1e-9)


def same_sums(one: Mapping[str, Sums], other: Mapping[str, Sums]) -> bool:
    """Tell whether two storages count the same of everybody."""
    return one.keys() == other.keys() and all(each == pytest.approx(other[name]) for name, each in one.items())


def _feed(storage: Storage, *batches: list[Entry]) -> None:
    for entries in batches:
        storage.apply(Batch(entries=entries))


class TasteContract(ContractCase):
    """Habits are sums: they have no order, and what ceases to count is taken back."""

    def test_what_counts_as_habit(self, storage: Storage) -> None:
        """Page views by category and path, carts, orders; over all services of the namespace."""
        tell = Teller()
        _feed(
            storage,
            [
                tell.view("2026-03-02T12:01", path="/m", title="Music", category="music"),
                tell.of(origin=SHOP).view(_NOON, path="/m", title="Old", category="music"),
                tell.view("2026-03-02T12:02", path="/"),
                tell.track("2026-03-02T12:03", "cart", category="music"),
                tell.track("2026-03-02T12:03", "download", category="music"),
                tell.purchase("2026-03-02T12:04", "A", category="music"),
                tell.of(origin=ELSEWHERE).view(_NOON, path="/m", category="music"),
            ],
        )
        found = habits(storage, _SPACE, KEY)
        moment_s = instant(_NOON) // 1_000_000
        music = found.categories["music"]
        assert (music.pages, music.carts, music.purchases, music.since_s) == (2, 1, 1, moment_s)
        assert music.recent == pytest.approx(decayed(2 + 3 + 5, moment_s + 120), rel=1e-4)
        assert list(found.categories) == ["music"]
        assert {path: page.title for path, page in found.pages.items()} == {"/m": "Music", "/": None}
        assert storage.category_sums(_SPACE)["music"].whole == 10
        assert storage.category_sums(ELSEWHERE.namespace)["music"].whole == 1

    def test_a_copy_of_an_order_that_gives_way_is_taken_back(self, storage: Storage) -> None:
        """Whatever the order of arrival, the habits are those of the copy that counts."""
        for number, arrival in enumerate(permutations(range(3))):
            tell = Teller(key=f"k{number}", ids=iter(range(10 * number + 1, 10 * number + 4)))
            copies = [
                tell.purchase(_NOON, "A", category="music"),
                tell.purchase("2026-03-02T12:01", "A", category="sport"),
                tell.purchase("2027-03-02T12:01", "A", category="music"),
            ]
            _feed(storage, *([copies[index]] for index in arrival))
            found = habits(storage, _SPACE, tell.key).categories
            assert {name: each.purchases for name, each in found.items()} == {"music": 1}
            assert found["music"].recent == pytest.approx(decayed(5, instant(_NOON) // 1_000_000), rel=1e-9)
        assert storage.category_sums(_SPACE).keys() == {"music"}

    def test_a_cancelled_order_is_no_interest(self, storage: Storage) -> None:
        """Nor is one whose refund came first; a part given back changes nothing."""
        tell = Teller()
        _feed(
            storage,
            [tell.purchase(_NOON, "A", category="music"), tell.purchase(_NOON, "B", category="sport")],
            [tell.refund(_NOON, "A"), tell.refund(_NOON, "B", 1), tell.refund(_NOON, "C")],
            [tell.purchase(_NOON, "C", category="news")],
        )
        assert {name: each.purchases for name, each in habits(storage, _SPACE, KEY).categories.items()} == {
            "sport": 1
        }
        assert {name: each.whole for name, each in storage.category_sums(_SPACE).items()} == {"sport": 5}

    def test_categories_are_any_text(self, storage: Storage) -> None:
        """Whatever an app calls a category, it is one."""
        names = ["", "é\u4e2d\U0001f3b5", 'a"b\\c,{}\t\n', "a\x00b", "NULL", "null"]
        tell = Teller()
        _feed(storage, [tell.view(_NOON, category=name) for name in names])
        assert habits(storage, _SPACE, KEY).categories.keys() == set(names)
        whole = {name: each.whole for name, each in storage.category_sums(_SPACE).items()}
        assert whole == dict.fromkeys(names, 1)

    def test_a_long_history_adds_up(self, storage: Storage) -> None:
        """However many events, sums and counts are those of one addition."""
        tell = Teller()
        start_us = instant(_NOON)
        views = [
            tell.view(start_us + number * 3_600_000_000, path=f"/{number % 7}", category=f"c{number % 3}")
            for number in range(200)
        ]
        _feed(storage, views[:100:2], views[1:100:2], *([view] for view in views[100:]))
        found = habits(storage, _SPACE, KEY)
        assert sum(each.pages for each in found.categories.values()) == 200
        expected = sum(decayed(1, view.event.time_us // 1_000_000) for view in views)
        assert sum(each.recent for each in found.categories.values()) == pytest.approx(expected, rel=1e-9)
        assert sum(each.recent for each in found.pages.values()) == pytest.approx(expected, rel=1e-9)
        assert sum(each.recent for each in storage.category_sums(_SPACE).values()) == pytest.approx(expected)

    def test_the_erased_are_taken_out_of_everybodys_sums(self, storage: Storage) -> None:
        """What the others did stays."""
        tell = Teller()
        _feed(storage, [tell.view(_NOON, category="music"), tell.of(key="b").view(_NOON, category="music")])
        _feed(storage, [tell.view("2026-03-02T12:05", category="sport")])
        storage.erase(_SPACE, KEY, instant("2026-03-03T00:00"))
        assert habits(storage, _SPACE, KEY) == Habits()
        assert {name: each.whole for name, each in storage.category_sums(_SPACE).items()} == {"music": 1}

    def test_a_service_is_live_from_its_first_page_view(self, storage: Storage) -> None:
        """From the earliest on that was not imported, whenever it comes; an erasure does not move it."""
        tell, shop = Teller(), Teller(origin=SHOP)
        assert storage.live_since(NEWS.service) is None
        imported = [tell.view("2026-01-01T12:00"), shop.view("2026-01-01T12:00")]
        storage.apply(Batch(entries=imported, imported=True))
        _feed(storage, [tell.purchase(_NOON, "A")])
        assert storage.live_since(NEWS.service) is None
        _feed(storage, [tell.view("2026-03-02T12:05"), tell.view("2026-03-02T12:04")], [tell.view(_NOON)])
        assert storage.live_since(NEWS.service) == instant(_NOON)
        _feed(storage, [tell.view("2026-03-02T12:06")], [tell.view(instant("2026-03-02T11:58") + 999_999)])
        storage.erase(_SPACE, KEY, instant("2026-03-03T00:00"))
        _feed(storage, [tell.view("2026-03-04T12:00")])
        assert storage.live_since(NEWS.service) == instant("2026-03-02T11:58")
        assert storage.live_since(SHOP.service) is None
