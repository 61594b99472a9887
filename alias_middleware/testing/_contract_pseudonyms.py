"""The part of the storage contract about pseudonyms, for storages that give them: names, keys, sealed aliases."""

from __future__ import annotations

from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest
from msgspec.structs import replace

from alias_middleware.comparing import Comparison
from alias_middleware.copying import Copy
from alias_middleware.errors import SettingsError
from alias_middleware.identity import joined, rotate_visitor_key
from alias_middleware.sealing import CONSENT, NO_END, Seal, Sealing, window_of
from alias_middleware.storage.base import Batch, Entry, LateChange, LateSealing, Storage
from alias_middleware.storage.outbox import Suppression
from alias_middleware.storage.pseudonyms import Rotation
from alias_middleware.testing._contract_case import ContractCase, known
from alias_middleware.testing._contract_erasure import populate
from alias_middleware.testing._contract_figures import totals
from alias_middleware.testing._contract_profiles import op, preferences
from alias_middleware.testing.histories import KEY, NEWS, Teller, change, instant

_SPACE = NEWS.namespace
_STORED = "the-key-of-rows"
_NAMED = joined(_STORED, KEY)
_ERASED = instant("2026-03-03T12:00")
_STOP = Suppression(scope="marketing", reason="STOP", channel="sms", time_us=_ERASED)
_KEYS = (b"a key that both storages have",)
_STEPS = ("", "keyed once", "keyed twice")


def _rekeyed(key: str) -> str:
    return rotate_visitor_key(key, b"another pseudonym key")


def _keyed(entry: Entry, mark: str) -> Entry:
    return replace(entry, origin=replace(entry.origin, keyed=mark))


def _sealing(time_us: int, why: str, sealed: bytes, *, key: str = KEY, until_us: int = NO_END) -> LateSealing:
    return LateSealing(_SPACE, Sealing(key, time_us, time_us, why, until_us if sealed else time_us, sealed))


def _copy(source: Storage, target: Storage) -> Copy:
    try:
        return Copy(source, target)
    except SettingsError as error:
        pytest.skip(str(error))


class PseudonymContract(ContractCase):
    """A visitor may be named by both his keys; other keys are refused; aliases are kept sealed as long as said."""

    def test_a_visitor_named_by_both_his_keys(self, storage: Storage) -> None:
        """Rows have the visitor key alone, whichever way he is named."""
        for named in (_NAMED, _STORED):
            shown = Teller(key=named).view("2026-03-02T12:00")
            storage.apply(Batch(entries=[_keyed(shown, "keyed")]))
            storage.change_profile(_SPACE, change(op("set", "f", named == _STORED), key=named, at=1), timeout=5)
        late = change(op("set", "g", 1), key=_NAMED, at=2)
        storage.apply(Batch(changes=[LateChange(_SPACE, late, 9, "keyed")]))
        for asked in (_NAMED, _STORED):
            assert preferences(storage, asked) == {"f": True, "g": 1}
            assert known(storage, _SPACE, asked).page_views == len(storage.history(_SPACE, asked, 9))
        assert {event.key for event in storage.history(_SPACE, _NAMED, 9)} == {_STORED}
        assert totals(storage, "2026-03-01", "2026-03-09").visitors == 1

    def test_other_keys_are_refused(self, storage: Storage) -> None:
        """The first batch says how a namespace is keyed; what comes otherwise waits, whatever it is."""
        pseudonyms = storage.pseudonyms()
        assert pseudonyms.marks(_SPACE) == []
        view = Teller().view("2026-03-02T12:00")
        storage.apply(Batch(entries=[_keyed(view, "keyed")]))
        assert pseudonyms.marks(_SPACE) == ["keyed"]
        pseudonyms.begin(_SPACE, "otherwise")
        assert pseudonyms.marks(_SPACE) == ["keyed"]
        late = LateChange(_SPACE, change(op("set", "f", 1), at=1), 1)
        for batch in (Batch(entries=[view]), Batch(changes=[late]), Batch(sealings=[_sealing(1, CONSENT, b"a")])):
            with self.unavailable("other_keys"):
                storage.apply(batch)
        assert totals(storage, "2026-03-01", "2026-03-09").page_views == 1

    def test_sealed_aliases(self, storage: Storage) -> None:
        """One for each reason, in the evidence; an end leaves nothing sealed; another visitor has none."""
        window = window_of("news", "light_pull")
        storage.apply(Batch(sealings=[_sealing(5, CONSENT, b"a"), _sealing(6, window, b"b", until_us=90)]))
        evidence = storage.outbox().evidence_of(_SPACE, KEY)
        assert sorted(evidence.seals) == [Seal(5, NO_END, b"a"), Seal(6, 90, b"b")]
        storage.apply(Batch(sealings=[_sealing(7, CONSENT, b"")]))
        assert [seal.sealed for seal in storage.outbox().evidence_of(_SPACE, KEY).seals if seal.sealed] == [b"b"]
        assert storage.outbox().evidence_of(_SPACE, "other").seals == ()

    def test_erasure_takes_the_sealed_alias(self, storage: Storage) -> None:
        """At once, and what was still in the spool does not bring it back."""
        storage.apply(Batch(sealings=[_sealing(5, CONSENT, b"a")]))
        storage.erase(_SPACE, KEY, _ERASED)
        storage.apply(Batch(sealings=[_sealing(_ERASED, CONSENT, b"a")]))
        assert storage.outbox().evidence_of(_SPACE, KEY).seals == ()
        storage.apply(Batch(sealings=[_sealing(_ERASED + 1, CONSENT, b"b")]))
        assert [seal.sealed for seal in storage.outbox().evidence_of(_SPACE, KEY).seals] == [b"b"]


class RotationContract(PseudonymContract):
    """The same, for storages that outlive their process: keys are rotated."""

    def test_what_outlives_rows_is_found_by_the_lasting_key(self, storage: Storage) -> None:
        """An erasure and an opt-out from before a rotation hold under every later visitor key."""
        storage.erase(_SPACE, KEY, _ERASED)
        storage.suppress(_SPACE, KEY, _STOP)
        early = _keyed(Teller(key=_NAMED).view("2026-03-02T12:00"), "keyed")
        assert storage.apply(Batch(entries=[early])).dropped == {"erased": 1}
        assert storage.erased_at(_SPACE, _NAMED) == _ERASED
        assert storage.suppressions(_SPACE, _NAMED) == [_STOP]
        assert storage.change_profile(_SPACE, change(op("set", "f", 1), key=_NAMED, at=_ERASED), timeout=5) == 0
        assert preferences(storage, _NAMED) == {}

    def test_a_rotation_changes_keys_and_nothing_else(self, storage: Storage) -> None:
        """Figures, profiles and opt-outs are what they were, twice over; a third call finds nothing to do."""
        key = "other"
        for name in (KEY, key):
            populate(storage, Teller(key=name))
            storage.suppress(_SPACE, name, _STOP)
        storage.erase(_SPACE, KEY, _ERASED)
        storage.apply(Batch(sealings=[_sealing(5, CONSENT, b"a", key=key)]))
        before = totals(storage, "2026-03-01", "2026-03-09")
        for old, new in pairwise(_STEPS):
            rotation = Rotation(_SPACE, old, new, _rekeyed)
            assert storage.pseudonyms().rotate(rotation)["visitors"] == 1
            assert storage.pseudonyms().rotate(rotation) == {}
            assert storage.read_knowledge(_SPACE, key) == b"[]"
            key = _rekeyed(key)
            assert storage.pseudonyms().marks(_SPACE) == [new]
            assert totals(storage, "2026-03-01", "2026-03-09") == before
            assert preferences(storage, key) == {"f": 1}
            (evidence,) = storage.outbox().evidence(_SPACE, "", 9)
            assert (evidence.key, evidence.suppressions) == (key, (_STOP,))
            assert [seal.sealed for seal in evidence.seals] == [b"a"]
        late = _keyed(Teller(key=joined(_rekeyed(_rekeyed(KEY)), KEY)).view("2026-03-02T12:00"), new)
        more = _keyed(Teller(key=joined(key, "other")).view("2026-03-02T12:00:30"), new)
        then = known(storage, _SPACE, key)
        outcome = storage.apply(Batch(entries=[late, more]))
        assert (outcome.stored, outcome.dropped) == (1, {"erased": 1})
        now = known(storage, _SPACE, key)
        assert (now.visits, now.page_views) == (then.visits, then.page_views + 1)

    def test_a_rotation_from_other_keys_is_refused(self, storage: Storage) -> None:
        """Nothing is changed."""
        populate(storage, Teller())
        with self.unavailable("other_keys"):
            storage.pseudonyms().rotate(Rotation(_SPACE, "others", "more", _rekeyed))
        assert preferences(storage) == {"f": 1}

    def test_it_moves_with_everything_else(self, tmp_path: Path) -> None:
        """Where that can be moved: who opted out before a rotation is known in the new place, and rotated."""
        (tmp_path / "target").mkdir()
        source, target = (self.make_storage(each, secret_keys=_KEYS) for each in (tmp_path, tmp_path / "target"))
        with closing(source), closing(target):
            copying = _copy(source, target)
            populate(source, Teller())
            source.suppress(_SPACE, KEY, _STOP)
            source.apply(Batch(sealings=[_sealing(5, CONSENT, b"a")]))
            source.pseudonyms().rotate(Rotation(_SPACE, *_STEPS[:2], _rekeyed))
            copying.begin()
            copying.run()
            copying.open_target()
            assert list(Comparison(source, target).discrepancies()) == []
            for storage in (source, target):
                assert storage.pseudonyms().marks(_SPACE) == [_STEPS[1]]
                assert storage.pseudonyms().rotate(Rotation(_SPACE, *_STEPS[1:], _rekeyed))["visitors"] == 1
                (evidence,) = storage.outbox().evidence(_SPACE, "", 9)
                assert (evidence.key, evidence.suppressions) == (_rekeyed(_rekeyed(KEY)), (_STOP,))
                assert [seal.sealed for seal in evidence.seals] == [b"a"]

    def test_another_namespace_stays(self, storage: Storage) -> None:
        """Keys are a namespace's own."""
        elsewhere = Teller(origin=replace(NEWS, service="elsewhere", namespace="elsewhere"))
        populate(storage, Teller())
        storage.apply(Batch(entries=[elsewhere.view("2026-03-02T12:00")]))
        storage.pseudonyms().rotate(Rotation(_SPACE, "", "keyed", _rekeyed))
        assert len(storage.history("elsewhere", KEY, 9)) == 1
        assert storage.pseudonyms().marks("elsewhere") == [""]
