"""The dashboard while the storage does not answer, and after it does again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from alias_middleware import Tracker
from alias_middleware.dashboard.drawing import Drawer
from tests.dashboard.audience import ALIAS, fill, make_client, make_tracker, sign_in, token_in

UNAVAILABLE = "The storage does not answer."


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[Tracker]:
    made = make_tracker(storage=f"sqlite:///{tmp_path}/alias.db")
    fill(made, visitors=2)
    yield made
    made.close()


@pytest.fixture
def client(tracker: Tracker, drawer: Drawer) -> Iterator[TestClient]:
    with make_client(tracker, drawer) as made:
        assert sign_in(made).status_code == 303
        yield made


@pytest.fixture
def outage(tmp_path: Path) -> Callable[[bool], None]:
    """Take the database away, and bring it back: a directory in its place cannot be opened."""
    database, elsewhere = tmp_path / "alias.db", tmp_path / "elsewhere"

    def switch(down: bool) -> None:
        if down:
            database.rename(elsewhere)
            database.mkdir()
        else:
            database.rmdir()
            elsewhere.rename(database)

    return switch


def test_a_page_says_so_and_comes_back(client: TestClient, outage: Callable[[bool], None]) -> None:
    """Every page that needs the storage says so, with 503; menu and session stay; then all is as before."""
    page = client.post("/visitors", data={"token": token_in(client.get("/").text), "alias": ALIAS})
    paths = ["/", "/?first=2026-03-01", "/visitors", "/campaigns", "/table/pages.csv", page.headers["location"]]
    before = {path: client.get(path).status_code for path in paths}
    outage(True)
    for path in paths:
        answer = client.get(path)
        assert (answer.status_code, UNAVAILABLE in answer.text) == (503, True), path
        assert 'href="/health' in answer.text, path
        assert "sqlite" not in answer.text.lower(), path
    outage(False)
    assert {path: client.get(path).status_code for path in paths} == before
    assert set(before.values()) == {200}


def test_health_is_told_during_an_outage(client: TestClient, outage: Callable[[bool], None]) -> None:
    """The page that is looked at then answers, and says what it still knows."""
    outage(True)
    answer = client.get("/health")
    assert (answer.status_code, UNAVAILABLE in answer.text) == (200, True)
    outage(False)
    assert UNAVAILABLE not in client.get("/health").text


def test_nothing_old_is_shown(client: TestClient, outage: Callable[[bool], None]) -> None:
    """Figures that were seen before are not taken for today's: whether they hold, only the storage can tell."""
    assert client.get("/").status_code == 200
    outage(True)
    assert "data-figure" not in client.get("/").text
    outage(False)


def test_signing_in_needs_no_storage(
    tracker: Tracker, drawer: Drawer, outage: Callable[[bool], None], client: TestClient
) -> None:
    """Who comes during an outage is let in, and told."""
    outage(True)
    with make_client(tracker, drawer) as another:
        assert sign_in(another).status_code == 303
        assert another.get("/").status_code == 503
    outage(False)


def test_a_page_needs_no_pictures(tracker: Tracker, caplog: pytest.LogCaptureFixture) -> None:
    """Where pictures cannot be drawn, the page says so in their place, has its figures, and the log says why."""
    with closing(Drawer()) as drawer, make_client(tracker, drawer) as client:
        sign_in(client)
        drawer._engine.close()
        page = client.get("/").text
    assert ("<svg" in page, "data-figure" in page, "<table" in page) == (False, True, True)
    assert page.count("The picture cannot be drawn") == len(caplog.records) > 5
