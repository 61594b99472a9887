"""A site whose files are locked, forbidden, deleted or replaced, or have no room: it answers, and all adds up."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.disasters import DISASTERS, Disaster, suffer


@pytest.mark.parametrize(
    ("disaster", "server"),
    [
        pytest.param(disaster, ("serve_asgi", "serve_wsgi")[number % 2], id=disaster.name)
        for number, disaster in enumerate(DISASTERS)
    ],
)
def test_disaster_is_survived(disaster: Disaster, server: str, tmp_path: Path) -> None:
    """Every page is answered, soon; what was acknowledged is stored once, or counted where it was dropped."""
    found = suffer(disaster, tmp_path, server, lasts=1.0)
    assert (found.lost, found.doubled, found.invented, found.unanswered) == (0, 0, 0, 0), found
    assert found.prompt, found
    assert disaster.drops is bool(found.dropped)
