"""A soak of a few seconds; `make soak` runs ten minutes."""

from __future__ import annotations

from pathlib import Path

from tests.soak.course import Course
from tests.soak.page import write


def test_short_soak_is_within_bounds(tmp_path: Path) -> None:
    """Two servers under load, a worker killed: nothing lost or doubled, the counters add up, the page says so."""
    result = Course(tmp_path, seconds=5, seed=1).run()
    assert result.complaints() == []
    assert result.kills > 0
    assert result.account.pages > 50
    page = write(result, visitors=1, cores=1)
    assert "All is within bounds" in page
    assert str(tmp_path) not in page
