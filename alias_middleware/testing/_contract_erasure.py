"""The part of the storage contract about privacy: erasure, tombstones, suppressions."""

from __future__ import annotations

from pathlib import Path

from alias_middleware.profile import Operation, StoredProfile
from alias_middleware.statistics import Totals
from alias_middleware.storage.base import Batch, LateChange, Storage
from alias_middleware.storage.outbox import Suppression
from alias_middleware.testing._contract_case import ContractCase, counted, known
from alias_middleware.testing._contract_figures import totals
from alias_middleware.testing._contract_profiles import op, preferences
from alias_middleware.testing.histories import ELSEWHERE, KEY, NEWS, SHOP, Teller, change, instant, local_day

_SPACE = NEWS.namespace
_ERASED = instant("2026-03-03T12:00")
_STOP = Suppression(scope="marketing", reason="STOP", channel="sms", time_us=_ERASED)


def populate(storage: Storage, tell: Teller) -> None:
    """Give a visitor something of every kind."""
    storage.apply(
        Batch(
            entries=[
                tell.view("2026-03-02T12:00"),
                tell.track("2026-03-02T12:01", channel="sms"),
                tell.purchase("2026-03-02T12:02", "A"),
                tell.refund("2026-03-02T12:03", "A", 1),
                tell.of(origin=SHOP).view("2026-03-01T12:00"),
            ]
        )
    )
    consent = Operation("consent", "consents", "contact", [True, "page"])
    said = change(
        op("set", "f", 1), Operation("set", "personal", "n", "N"), consent, at="2026-03-02T12:00", key=tell.key
    )
    storage.change_profile(_SPACE, said, timeout=5)


class ErasureContract(ContractCase):
    """Erasure leaves nothing but keyed hashes, and nothing comes back by itself."""

    def test_an_erased_visitor_is_gone(self, storage: Storage) -> None:
        """His profile, history and figures go; everybody else's stay; the number of rows gone is told."""
        tell = Teller()
        for one in (tell, tell.of(key="other"), tell.of(origin=ELSEWHERE)):
            populate(storage, one)
        gone = storage.erase(_SPACE, KEY, _ERASED)
        assert sum(gone.values()) > 0
        assert all(number >= 0 for number in gone.values())
        assert storage.read_profile(_SPACE, KEY) == StoredProfile()
        assert storage.history(_SPACE, KEY, 100) == []
        found = totals(storage, "2026-03-01", "2026-03-09")
        assert (found.visitors, found.page_views, found.clients, found.erased) == (1, 1, 1, 1)
        assert totals(storage, "2026-03-01", "2026-03-09", "shop").visitors == 1
        assert totals(storage, "2026-03-01", "2026-03-09", "elsewhere").visitors == 1
        assert preferences(storage, "other") == {"f": 1}
        assert len(storage.history(ELSEWHERE.namespace, KEY, 100)) == 4

    def test_erasing_a_stranger_remembers_it(self, storage: Storage) -> None:
        """Nothing is gone, and yet nothing that was under way may come."""
        assert sum(storage.erase(_SPACE, KEY, _ERASED).values()) == 0
        outcome = storage.apply(Batch(entries=[Teller().view("2026-03-02T12:00")]))
        assert (outcome.stored, outcome.dropped) == (0, {"erased": 1})
        assert totals(storage, "2026-03-01", "2026-03-09") == Totals(erased=1)

    def test_the_beginning_of_the_request_decides(self, storage: Storage) -> None:
        """Events of requests begun at or before the erasure are dropped, later ones start a new profile."""
        tell = Teller()
        populate(storage, tell)
        storage.erase(_SPACE, KEY, _ERASED)
        entries = [
            tell.view(_ERASED),
            tell.view(_ERASED + 5, begun=_ERASED),
            tell.view(_ERASED - 5, begun=_ERASED + 1),
            tell.refund(_ERASED - 5, "A"),
            tell.view(_ERASED + 1),
        ]
        outcome = storage.apply(Batch(entries=entries))
        assert (outcome.stored, outcome.dropped) == (2, {"erased": 3})
        assert [event.time_us for event in storage.history(_SPACE, KEY, 9)] == [_ERASED + 1, _ERASED - 5]
        again = storage.apply(Batch(entries=[tell.view(_ERASED), tell.view(_ERASED + 9)]))
        assert (again.stored, again.dropped) == (1, {"erased": 1})
        assert known(storage, _SPACE, KEY).page_views == 3
        assert totals(storage, "2026-03-01", "2026-03-09").new_visitors == 1

    def test_a_request_under_way_while_the_visitor_came_back(self, storage: Storage) -> None:
        """A page of a request begun before the erasure is dropped, even as the latest of a new history."""
        tell = Teller()
        storage.erase(_SPACE, KEY, _ERASED)
        assert storage.apply(Batch(entries=[tell.view(_ERASED + 5)])).stored == 1
        outcome = storage.apply(Batch(entries=[tell.view(_ERASED + 9, begun=_ERASED)]))
        assert (outcome.stored, outcome.dropped) == (0, {"erased": 1})
        assert known(storage, _SPACE, KEY).page_views == 1

    def test_changes_begun_before_change_nothing(self, storage: Storage) -> None:
        """Neither at once nor out of the spool; those begun later write a new profile."""
        populate(storage, Teller())
        storage.erase(_SPACE, KEY, _ERASED)
        for begun_us in (_ERASED - 1, _ERASED):
            early = change(op("set", "f", "old"), at=_ERASED + 9, begun=begun_us)
            assert storage.change_profile(_SPACE, early, timeout=5) == 0
            storage.apply(Batch(changes=[LateChange(_SPACE, early, begun_us)]))
            assert storage.read_profile(_SPACE, KEY) == StoredProfile()
        storage.change_profile(_SPACE, change(op("set", "g", 1), at=_ERASED + 1), timeout=5)
        early = change(op("set", "f", "old"), at=_ERASED + 9, begun=_ERASED)
        storage.change_profile(_SPACE, early, timeout=5)
        late = change(op("set", "h", 1), at=_ERASED + 2)
        storage.apply(Batch(changes=[LateChange(_SPACE, early, 1), LateChange(_SPACE, late, 2)]))
        assert preferences(storage) == {"g": 1, "h": 1}

    def test_a_second_erasure(self, storage: Storage) -> None:
        """The latest time holds; a person counts once."""
        tell = Teller()
        populate(storage, tell)
        assert storage.erased_at(_SPACE, KEY) is None
        storage.erase(_SPACE, KEY, _ERASED)
        storage.apply(Batch(entries=[tell.view(_ERASED + 5)]))
        assert sum(storage.erase(_SPACE, KEY, _ERASED + 9).values()) > 0
        storage.erase(_SPACE, KEY, _ERASED + 1)
        assert storage.erased_at(_SPACE, KEY) == _ERASED + 9
        assert storage.apply(Batch(entries=[tell.view(_ERASED + 9)])).dropped == {"erased": 1}
        assert totals(storage, "2026-03-01", "2026-03-09") == Totals(erased=1)

    def test_figures_show_erasures_since_a_moment(self, storage: Storage) -> None:
        """Those before the moment are not counted, nor those of another namespace."""
        tell = Teller()
        populate(storage, tell)
        populate(storage, tell.of(origin=ELSEWHERE))
        storage.erase(_SPACE, KEY, _ERASED)
        days = (local_day("2026-03-01"), local_day("2026-03-09"))
        asked = [("news", _ERASED), ("news", _ERASED + 1), ("shop", _ERASED), ("elsewhere", 0)]
        found = [counted(storage, service, *days, erased_since_us=since).erased for service, since in asked]
        assert found == [1, 0, 1, 0]

    def test_suppressions(self, storage: Storage) -> None:
        """A scope holds the latest; scopes come in order; another key or namespace has none."""
        latest = Suppression("marketing", "STOPALL", "sms", _ERASED + 1)
        service = Suppression("service", "unsubscribed", "web", _ERASED)
        for each in (service, _STOP, latest):
            storage.suppress(_SPACE, KEY, each)
        assert storage.suppressions(_SPACE, KEY) == [latest, service]
        assert storage.suppressions(_SPACE, "other") == storage.suppressions("another", KEY) == []

    def test_suppressions_survive_erasure(self, storage: Storage) -> None:
        """Who said no is not asked again because he asked to be forgotten."""
        populate(storage, Teller())
        storage.suppress(_SPACE, KEY, _STOP)
        storage.erase(_SPACE, KEY, _ERASED)
        assert storage.suppressions(_SPACE, KEY) == [_STOP]

    def test_a_new_key_forgets_nothing(self, tmp_path: Path) -> None:
        """Tombstones and suppressions hold under every key, also one made before keys were set."""
        first, second = b"f" * 32, b"s" * 32
        storage = self.make_storage(tmp_path)
        storage.erase(_SPACE, "k0", _ERASED)
        storage.suppress(_SPACE, "k0", _STOP)
        for number, keys in enumerate([(first,), (first, second)], start=1):
            if storage.abilities.shared:
                storage.close()
                storage = self.make_storage(tmp_path, secret_keys=keys)
            storage.erase(_SPACE, f"k{number}", _ERASED)
            storage.suppress(_SPACE, f"k{number}", _STOP)
        for key in ("k0", "k1", "k2"):
            assert storage.erased_at(_SPACE, key) == _ERASED
            assert storage.suppressions(_SPACE, key) == [_STOP]
            early = Teller(key=key).view("2026-03-02T12:00")
            assert storage.apply(Batch(entries=[early])).dropped == {"erased": 1}
            storage.erase(_SPACE, key, _ERASED + 1)
        assert totals(storage, "2026-03-01", "2026-03-09") == Totals(erased=3)
        storage.close()
