"""Which time is still to be swept of page views that were recorded live."""

from __future__ import annotations

import pytest

from alias_middleware.storage.replacing import Replacement, Stretch, to_sweep


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        pytest.param([(0, 10, False)], [(0, 10)], id="nothing was replaced before"),
        pytest.param([(0, 10, True)], [], id="swept already"),
        pytest.param([(0, 10, False), (5, 20, False)], [(0, 20)], id="two that overlap, neither swept"),
        pytest.param([(0, 10, False), (4, 6, True)], [(0, 4), (6, 10)], id="around what was swept"),
        pytest.param([(0, 10, False), (0, 4, True), (8, 30, True)], [(4, 8)], id="between two swept"),
        pytest.param([(0, 10, False), (2, 4, True), (3, 6, True)], [(0, 2), (6, 10)], id="swept ones overlap"),
        pytest.param([(0, 10, False), (0, 10, True)], [], id="all of it swept"),
        pytest.param([(0, 10, False), (20, 30, True)], [(0, 10)], id="swept at another time"),
    ],
)
def test_what_is_swept_is_swept_once(known: list[tuple[int, int, bool]], expected: list[Stretch]) -> None:
    """Where a log has stood before, what is there now is a log's."""
    assert to_sweep([Replacement(*each) for each in known], 0) == expected


@pytest.mark.parametrize(
    ("live_us", "expected"),
    [
        pytest.param(None, [], id="nothing was ever recorded live"),
        pytest.param(3, [(3, 10)], id="live in the middle of it"),
        pytest.param(10, [], id="live afterwards"),
    ],
)
def test_before_the_live_time_there_are_logs_only(live_us: int | None, expected: list[Stretch]) -> None:
    """What was imported from before stays."""
    assert to_sweep([Replacement(0, 10, swept=False)], live_us) == expected
