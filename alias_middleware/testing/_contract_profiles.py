"""The part of the storage contract about profiles: field operations, consents, late changes."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from alias_middleware.profile import PROFILE_LIMIT, Operation, StoredProfile
from alias_middleware.storage.base import Batch, LateChange, Span, Storage
from alias_middleware.testing._contract_case import ContractCase, known
from alias_middleware.testing.histories import KEY, NEWS, Teller, change

_SPACE = NEWS.namespace
_NOON = "2026-03-02T12:00"
_THREADS = 8
_EACH = 25


def op(verb: Any, field: str, value: Any = None, limit: int | None = None) -> Operation:
    """Make an operation on a preference."""
    return Operation(verb, "preferences", field, value, limit)


def preferences(storage: Storage, key: str = KEY) -> dict[str, Any]:
    """Read what is preferred, as the app would see it."""
    found: dict[str, Any] = json.loads(storage.read_profile(_SPACE, key).preferences)
    return found


class ProfileContract(ContractCase):
    """Profiles change by field operations; nothing is lost, nothing applies twice."""

    def test_a_stranger_has_an_empty_profile(self, storage: Storage) -> None:
        """Reading what was never written gives empty documents and no knowledge."""
        assert storage.read_profile(_SPACE, KEY) == StoredProfile()

    @pytest.mark.parametrize(
        ("operations", "result"),
        [
            pytest.param([op("set", "f", {"a": [1, None]})], {"f": {"a": [1, None]}}, id="set a nested value"),
            pytest.param([op("set", "f", 1), op("set", "f", "x")], {"f": "x"}, id="set again"),
            pytest.param([op("set", "f", 1), op("remove", "f")], {}, id="remove"),
            pytest.param([op("remove", "f")], {}, id="remove what is not there"),
            pytest.param([op("fill", "f", 1), op("fill", "f", 2)], {"f": 1}, id="fill what is missing only"),
            pytest.param([op("increment", "f", 2)], {"f": 2}, id="increment what is not there"),
            pytest.param([op("set", "f", 1.5), op("increment", "f", -1)], {"f": 0.5}, id="increment a float"),
            pytest.param([op("append", "f", 1), op("append", "f", 1)], {"f": [1, 1]}, id="append"),
            pytest.param(
                [op("append", "f", number, 2) for number in range(4)], {"f": [2, 3]}, id="append with a limit"
            ),
            pytest.param(
                [op("set", "f", [1, True, 1.0, 1]), op("discard", "f", 1)], {"f": [True, 1.0]}, id="discard"
            ),
        ],
    )
    def test_field_operations(self, storage: Storage, operations: list[Operation], result: dict[str, Any]) -> None:
        """Every operation does what its name says, also one transaction each."""
        assert storage.change_profile(_SPACE, change(*operations, at=_NOON), timeout=5) == 0
        for operation in operations:
            assert storage.change_profile(_SPACE, change(operation, at=_NOON, key="other"), timeout=5) == 0
        assert preferences(storage) == preferences(storage, "other") == result

    @pytest.mark.parametrize(
        "operation",
        [
            pytest.param(op("increment", "text", 1), id="increment a text"),
            pytest.param(op("increment", "largest", 1), id="increment past 64 bits"),
            pytest.param(op("append", "text", 1), id="append to a text"),
            pytest.param(op("discard", "text", "t"), id="discard from a text"),
            pytest.param(op("set", "big", "x" * PROFILE_LIMIT), id="past 64 KiB"),
        ],
    )
    def test_what_does_not_fit_is_refused_alone(self, storage: Storage, operation: Operation) -> None:
        """An operation that its field does not allow changes nothing; those beside it take effect."""
        before = {"text": "t", "largest": 2**63 - 1}
        storage.change_profile(_SPACE, change(*(op("set", *f) for f in before.items()), at=_NOON), timeout=5)
        mixed = change(op("set", "one", 1), operation, op("set", "two", 2), at=_NOON)
        assert storage.change_profile(_SPACE, mixed, timeout=5) == 1
        assert preferences(storage) == before | {"one": 1, "two": 2}

    def test_what_was_filled_is_withdrawn_unless_changed(self, storage: Storage) -> None:
        """By the time of its filling; later changes, a removal and a new value among them, make it another one."""
        fields = [op("fill", name, 1) for name in ("kept", "again", "more", "gone")]
        filled = change(*fields, at=_NOON)
        storage.change_profile(_SPACE, change(op("set", "own", 1), at="2026-03-02T11:00"), timeout=5)
        storage.change_profile(_SPACE, filled, timeout=5)
        acts = op("set", "again", 1), op("increment", "more", 1), op("remove", "gone")
        storage.change_profile(_SPACE, change(*acts, at="2026-03-02T12:01"), timeout=5)
        names = ("own", "kept", "again", "more", "gone")
        taken = change(*(op("withdraw", name, filled.time_us) for name in names), at="2026-03-02T12:02")
        assert storage.change_profile(_SPACE, taken, timeout=5) == 0
        assert preferences(storage) == {"own": 1, "again": 1, "more": 2}

    def test_personal_data_is_kept_apart(self, storage: Storage) -> None:
        """The same field name in both areas is two fields; together they share the size limit."""
        half = "x" * (PROFILE_LIMIT // 2)
        both = change(Operation("set", "personal", "f", half), op("set", "f", half), at=_NOON)
        assert storage.change_profile(_SPACE, both, timeout=5) == 1
        stored = storage.read_profile(_SPACE, KEY)
        assert (json.loads(stored.preferences), json.loads(stored.personal)) == ({}, {"f": half})

    def test_profiles_belong_to_a_namespace(self, storage: Storage) -> None:
        """One key in two namespaces is two people."""
        storage.change_profile(_SPACE, change(op("set", "f", 1), at=_NOON), timeout=5)
        assert storage.read_profile("another", KEY) == StoredProfile()

    def test_consents_are_kept_with_time_and_source(self, storage: Storage) -> None:
        """Every answer stays, oldest first."""
        for granted, at in ((True, _NOON), (False, "2026-03-02T12:01")):
            said = Operation("consent", "consents", "contact", [granted, "settings"])
            storage.change_profile(_SPACE, change(said, at=at), timeout=5)
        kept = json.loads(storage.read_profile(_SPACE, KEY).consents)["contact"]
        assert [(granted, source) for granted, _, source in kept] == [(True, "settings"), (False, "settings")]

    def test_a_late_change_never_overwrites_a_newer_one(self, storage: Storage) -> None:
        """What waited in the spool is merged by its own time, field by field."""
        storage.change_profile(_SPACE, change(op("set", "f", "new"), at="2026-03-02T12:05"), timeout=5)
        late = change(op("set", "f", "old"), op("set", "g", "kept"), at=_NOON)
        storage.apply(Batch(changes=[LateChange(_SPACE, late, 1)]))
        assert preferences(storage) == {"f": "new", "g": "kept"}

    def test_late_changes_apply_in_time_order(self, storage: Storage) -> None:
        """A batch gathers several processes' spools: the times decide, not the order of reading."""
        changes = [
            LateChange(_SPACE, change(op("append", "f", number), at=f"2026-03-02T12:0{number}"), number)
            for number in (3, 1, 2)
        ]
        storage.apply(Batch(changes=changes))
        assert preferences(storage) == {"f": [1, 2, 3]}

    def test_a_late_change_applies_once(self, storage: Storage) -> None:
        """Twice in a batch, or in a batch that was read before, it counts once."""
        late = LateChange(_SPACE, change(op("increment", "f", 1), at=_NOON), 7)
        batch = Batch(changes=[late, late], spans={"s": Span(0, 10)})
        storage.apply(batch)
        with self.unavailable("stale_position"):
            storage.apply(batch)
        assert preferences(storage) == {"f": 1}

    def test_refused_late_operations_are_counted(self, storage: Storage) -> None:
        """The outcome and the counters say how many did not fit."""
        storage.change_profile(_SPACE, change(op("set", "f", "t"), at=_NOON), timeout=5)
        late = change(op("increment", "f", 1), at="2026-03-02T12:01")
        assert storage.apply(Batch(changes=[LateChange(_SPACE, late, 1)])).refused == 1
        assert storage.ledger().counts == {"preferences_refused": 1}

    def test_who_refuses_to_be_measured_is_not(self, storage: Storage) -> None:
        """From the refusal on only purchases and refunds are kept; a new consent ends it."""
        tell = Teller()
        refuse = change(Operation("consent", "consents", "measure", [False, None]), at=_NOON)
        storage.change_profile(_SPACE, refuse, timeout=5)
        entries = [
            tell.view("2026-03-02T11:59"),
            tell.view(_NOON),
            tell.track("2026-03-02T12:01"),
            tell.purchase("2026-03-02T12:02", "A"),
            tell.refund("2026-03-02T12:03", "A", 1_000_000),
        ]
        outcome = storage.apply(Batch(entries=entries))
        assert (outcome.stored, outcome.dropped) == (3, {"no_consent": 2})
        consent = change(Operation("consent", "consents", "measure", [True, None]), at="2026-03-02T12:04")
        storage.apply(Batch(changes=[LateChange(_SPACE, consent, 99)], entries=[tell.view("2026-03-02T12:05")]))
        knowledge = known(storage, _SPACE, KEY)
        assert (knowledge.page_views, knowledge.orders, knowledge.revenue) == (2, 1, {"EUR": 2_000_000})

    def test_a_regular_visitor_may_refuse_too(self, storage: Storage) -> None:
        """What is known of him stays; his next page, however ordinary, is not recorded."""
        tell = Teller()
        storage.apply(Batch(entries=[tell.view("2026-03-02T11:59")]))
        refuse = change(Operation("consent", "consents", "measure", [False, None]), at=_NOON)
        storage.change_profile(_SPACE, refuse, timeout=5)
        outcome = storage.apply(Batch(entries=[tell.view("2026-03-02T12:01")]))
        assert (outcome.stored, outcome.dropped) == (0, {"no_consent": 1})
        assert known(storage, _SPACE, KEY).page_views == 1

    def test_increments_from_many_threads_all_count(self, storage: Storage) -> None:
        """Concurrent changes lose nothing, and other fields set meanwhile survive."""

        def work(number: int) -> None:
            for _ in range(_EACH):
                both = change(op("increment", "f", 1), op("set", f"g{number}", number), at=_NOON)
                storage.change_profile(_SPACE, both, timeout=30)

        run_together([lambda number=number: work(number) for number in range(_THREADS)])  # type: ignore[misc]
        assert preferences(storage) == {"f": _THREADS * _EACH} | {f"g{n}": n for n in range(_THREADS)}


def run_together(jobs: list[Callable[[], None]]) -> None:
    """Run jobs in threads that begin at once; the first error of any is raised."""
    errors: list[BaseException] = []
    ready = threading.Barrier(len(jobs))

    def run(job: Callable[[], None]) -> None:
        try:
            ready.wait()
            job()
        except BaseException as error:  # noqa: BLE001 - raised below, where the test sees it
            errors.append(error)

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
