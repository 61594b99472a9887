"""What every part of the storage contract starts from: a fresh storage of the kind under test."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from alias_middleware.errors import StorageUnavailable
from alias_middleware.events import Channel
from alias_middleware.history import Knowledge
from alias_middleware.profile import decode_knowledge
from alias_middleware.statistics.summary import SUMMARY_SECTIONS, Totals, known_before, totals_of
from alias_middleware.storage.base import Question, Scope, Storage


class ContractCase:
    """Gives each test a fresh storage."""

    def make_storage(self, tmp_path: Path, *, secret_keys: Sequence[bytes] = ()) -> Storage:
        """Open the storage under test.

        The data of one `tmp_path` are the same whenever it is opened, if the storage is `shared`; those of
        another are apart.
        """
        raise NotImplementedError

    @pytest.fixture
    def storage(self, tmp_path: Path) -> Iterator[Storage]:
        """A fresh, empty storage."""
        storage = self.make_storage(tmp_path)
        yield storage
        storage.close()

    @pytest.fixture
    def replacing(self, storage: Storage) -> Storage:
        """The storage under test, where it can take page views out."""
        if not storage.abilities.replaces:
            pytest.skip("it replaces nothing")
        return storage

    @contextmanager
    def unavailable(self, reason: str) -> Iterator[None]:
        """Expect the storage to refuse for this reason."""
        with pytest.raises(StorageUnavailable) as raised:
            yield
        assert raised.value.reason == reason


def known(storage: Storage, namespace: str, key: str) -> Knowledge:
    """Give what a storage derives from a visitor's history."""
    return decode_knowledge(storage.read_knowledge(namespace, key))


def counted(
    storage: Storage,
    service: str | None,
    since: int,
    until: int,
    *,
    channel: Channel | None = None,
    namespace: str = "",
    erased_since_us: int = 0,
) -> Totals:
    """Count over local days (ordinals) what a storage rolls up of a service, or of a whole namespace.

    Lifetime clients are those of the days alone: no order from before them is asked for.
    """
    scope = Scope(namespace, service, channel)
    asked = Question(scope, [(since, until)], SUMMARY_SECTIONS, erased_since_us)
    before = Question(scope, [(0, since)], ("arrivals",))
    answer, earlier = storage.rollups([asked, before])
    [known] = known_before([(since, until)], earlier.rollups)
    return totals_of(answer.rollups[0], before=known, erased=answer.erased)
