"""Random histories: made again by their seed, told when a comparison fails, and as small as a failure allows."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alias_middleware.storage.base import Batch
from alias_middleware.storage.memory import MemoryStorage
from alias_middleware.storage.sqlite import SQLiteStorage
from alias_middleware.testing._check_figures import check_figures
from alias_middleware.testing._contract_figures import compare
from alias_middleware.testing._retelling import retold
from alias_middleware.testing.histories import random_history

EXAMPLES = 15


def test_a_history_tells_all_of_itself() -> None:
    """Its seed, every entry with what it has, and what happened between; the same again for the same seed."""
    history = random_history(5)
    told = history.told()
    assert told == random_history(5).told() != random_history(6).told()
    lines = told.splitlines()
    assert lines[0] == "random_history(5, phases=3, walks=14):"
    entries = [entry for phase in history.phases for entry in phase.entries]
    for entry in entries:
        assert f"#{entry.id}" in told
    of_entries = [line for line in lines if "#" in line]
    assert len(of_entries) == len(entries)
    assert sum(" erased at " in line for line in lines) == sum(len(phase.erasures) for phase in history.phases)
    assert "title='Welcome'" in told


def test_a_comparison_that_fails_tells_the_history() -> None:
    """So that it can be read where it failed, and made again."""
    history = random_history(2)
    whole, part = MemoryStorage(), MemoryStorage()
    entries = history.phases[0].entries
    whole.apply(Batch(entries=entries))
    part.apply(Batch(entries=entries[1:]))
    with pytest.raises(AssertionError) as raised:
        compare(part, whole, history)
    assert raised.value.__notes__ == [history.told()]


@settings(max_examples=EXAMPLES)
@given(seed=st.integers(0, 2**32), phases=st.integers(1, 2), walks=st.integers(1, 10))
def test_every_figure_equals_the_slow_reading(seed: int, phases: int, walks: int) -> None:
    """Of histories as short as a failure allows: what Hypothesis prints makes the history again."""
    history = random_history(seed, phases=phases, walks=walks)
    with TemporaryDirectory() as folder, closing(SQLiteStorage(f"sqlite:///{Path(folder)}/alias.db")) as storage:
        *_, reference = retold(history, seed, storage)
        check_figures(storage, reference, history)
