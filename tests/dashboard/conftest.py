"""The dashboard over a known history."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from starlette.testclient import TestClient

from alias_middleware import Tracker
from alias_middleware.dashboard.drawing import Drawer
from tests.dashboard.audience import fill, make_client, make_tracker, sign_in


@pytest.fixture(scope="session")
def audience() -> Iterator[Tracker]:
    """Give a tracker with a known history, that no test changes."""
    tracker = make_tracker()
    fill(tracker)
    yield tracker
    tracker.close()


@pytest.fixture(scope="session")
def drawer() -> Iterator[Drawer]:
    """Give the pictures' engine, which takes a second to start."""
    with closing(Drawer()) as made:
        yield made


@pytest.fixture
def stranger(audience: Tracker, drawer: Drawer) -> Iterator[TestClient]:
    """Give a client that is not signed in."""
    with make_client(audience, drawer) as client:
        yield client


@pytest.fixture
def reader(stranger: TestClient) -> TestClient:
    """Give a client that is signed in."""
    assert sign_in(stranger).status_code == 303
    return stranger
