"""What is made of readings: how much a process grew, and what is no growth."""

from __future__ import annotations

import pytest

from tests.soak.readings import Reading, _slope


@pytest.mark.parametrize(
    ("memory", "slope"),
    [
        pytest.param([100] * 30, 0, id="as it was"),
        pytest.param([100] * 25 + [5_000] * 5, 0, id="a leap at the end"),
        pytest.param(range(0, 300, 10), 10, id="steady growth"),
        pytest.param([100], 0, id="one reading"),
    ],
)
def test_slope_is_that_of_steady_growth(memory: list[int], slope: float) -> None:
    """In kilobytes a second, whatever happens once."""
    assert _slope([Reading(at, kb, 1, 1) for at, kb in enumerate(memory)]) == slope
