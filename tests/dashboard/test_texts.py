"""Every text is shown somewhere, and everything that is shown is translated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_args

import pytest
from starlette.testclient import TestClient

from alias_middleware import Tracker
from alias_middleware.contact import RULES
from alias_middleware.contact.facts import SuppressionReason
from alias_middleware.contact.rules import Decision
from alias_middleware.dashboard import words
from alias_middleware.dashboard.drawing import Drawer
from alias_middleware.dashboard.period import Period
from alias_middleware.dashboard.report import report
from alias_middleware.dashboard.security import Gate
from alias_middleware.events import Message, PageView, Purchase, Refund, TrackedEvent, Unsubscription
from alias_middleware.profile import PURPOSES, Operation
from alias_middleware.statistics.definitions import DEFINITIONS
from alias_middleware.storage.base import Batch
from alias_middleware.storage.outbox import Standing, Suppression
from alias_middleware.testing.histories import change
from tests.dashboard.audience import (
    ALIAS,
    FIRST,
    LAST,
    NOW,
    PLAN,
    UNTIL,
    at,
    fill,
    make_client,
    make_tracker,
    sign_in,
    token_in,
)

EVENTS = (Message, PageView, Purchase, Refund, TrackedEvent, Unsubscription)
NAMED_BY_DATA = {
    *(f"definition.{name}" for name in DEFINITIONS),
    *(f"rule.{name}" for name in RULES),
    *(f"decision.{name}" for name in get_args(Decision)),
    *(f"standing.{name}" for name in get_args(Standing)),
    *(f"reason.{name}" for name in get_args(SuppressionReason)),
    *(f"event.{kind.__name__}" for kind in EVENTS),
    *(f"purpose.{name}" for name in PURPOSES),
    *("evidence.carts", "evidence.purchases"),
}
"""Texts of which a history shows some: the domain says which there are."""

OWN_NAMES = ("value.", "definition.")
"""Data that stand for themselves where there is no text: paths, groups of visits; columns without a definition."""


class Read(Mapping[str, str]):
    """A catalogue that notes which texts were read, and which were looked for in vain."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self.texts = texts
        self.read: set[str] = set()
        self.missing: set[str] = set()

    def __getitem__(self, key: str) -> str:
        (self.read if key in self.texts else self.missing).add(key)
        return self.texts[key]

    def __contains__(self, key: object) -> bool:
        return key in self.texts

    def __iter__(self) -> Iterator[str]:
        return iter(self.texts)

    def __len__(self) -> int:
        return len(self.texts)


@pytest.fixture
def catalogues(monkeypatch: pytest.MonkeyPatch) -> dict[str, Read]:
    read = {language: Read(texts) for language, texts in words.CATALOGUES.items()}
    monkeypatch.setattr(words, "CATALOGUES", MappingProxyType(read))
    return read


@pytest.fixture(params=["en", "fr"])
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_every_text_is_shown_and_none_is_missing(
    catalogues: dict[str, Read], language: str, drawer: Drawer, tmp_path: Path
) -> None:
    """All pages, in every state that they have, read every text of the catalogue, and look for no other."""
    tracker = make_tracker(storage=f"sqlite:///{tmp_path}/alias.db")
    fill(tracker)
    tracker.storage.apply(Batch(counts={"seen": 1}))
    refused = Operation("consent", "consents", "contact", [False, "settings page"])
    tracker.storage.change_profile("portal", change(refused, at="2026-03-21T10:00"), timeout=5)
    for scope in ("marketing", "service:news", "service"):
        tracker.storage.suppress("portal", ALIAS, Suppression(scope, "stop", "sms", 0))
    tracker.storage.suppress("portal", "271828182845", Suppression("marketing", "import", "import", 0))
    headers = {"Accept-Language": language}
    with make_client(tracker, drawer, headers=headers) as client:
        _knock(client)
        _look(client, _reachable(tracker))
    _open_links(tracker, drawer, headers)
    _look_at_little(drawer, headers)
    _break_down(tracker, headers, tmp_path)
    report(tracker, Period(FIRST, UNTIL, "web", "*"), language=language, now=NOW)
    tracker.close()
    found = catalogues[language]
    assert sorted(key for key in found.missing if not key.startswith(OWN_NAMES)) == []
    unread = sorted(set(found.texts) - found.read - NAMED_BY_DATA)
    assert unread == [], " ".join(unread)


def _knock(client: TestClient) -> None:
    """Sign in in every way that fails, and then so that it does not."""
    client.post("/login", data={"token": "forged"})
    for _ in range(4):
        sign_in(client, "wrong horse battery")
    assert sign_in(client).status_code == 303


def _look(client: TestClient, reachable: str) -> None:
    """Look at everything there is, and at night at one who may be contacted by day."""
    token = token_in(client.get("/").text)
    for path in ("/?service=*&channel=sms", "/visitors", "/campaigns", "/health", "/nowhere", "/?channel=telex"):
        client.get(path)
    client.post("/visitors", data={"token": "forged"})
    client.post("/visitors", data={"token": token, "alias": "nobody"})
    client.post("/visitors", data={"token": token, "alias": "3" * 9_000})
    client.post("/language", data={"token": token, "language": "tlh"})
    for path in ("/?first=yesterday", "/?service=another", "/visitor/forged", "/visitors?order=alias"):
        client.get(path)
    for alias in (ALIAS, "271828182845", "161803398874"):
        found = client.post("/visitors", data={"token": token, "alias": alias}).headers["location"]
        for query in ("", "?skip=100", "?offer=premium_transaction&sender=36123"):
            assert client.get(f"{found}{query}").status_code == 200
        assert [client.get(f"{found}?{query}").status_code for query in ("skip=x", "offer=x")] == [400, 400]
    found = client.post("/visitors", data={"token": token, "alias": reachable}).headers["location"]
    with at(NOW.replace(hour=23)):
        assert client.get(f"{found}?offer=premium_transaction&sender=36123").status_code == 200
    client.post("/aliases", data={"token": token, "whole": "yes"})
    client.get("/visitors")


def _reachable(tracker: Tracker) -> str:
    everybody = [row.visitor for row in tracker.statistics.visitors(limit=100).rows]
    return next(each for each in everybody if tracker.contact.verdict(each, **PLAN).decision == "send")


def _open_links(tracker: Tracker, drawer: Drawer, headers: dict[str, str]) -> None:
    """Come by a link that is good, by one that is not, and without any; and try too many passwords."""
    gate = Gate([b"k" * 32], None, now=NOW.timestamp, entropy=lambda number: b"e" * number)
    with make_client(tracker, drawer, gate=gate, headers=headers) as client:
        for path in ("/login", f"/enter/{gate.link()}", "/enter/forged"):
            client.get(path)
    with make_client(tracker, drawer, headers=headers) as client:
        for _ in range(6):
            sign_in(client, "wrong horse battery")


def _look_at_little(drawer: Drawer, headers: dict[str, str]) -> None:
    """Look at a storage with nothing in it, with pseudonyms, of a service attached late, and at a large one."""
    small: list[dict[str, Any]] = [{}, {"pseudonym_keys": ["p" * 32]}, {"attached_on": LAST}]
    for settings, visitors in (*((each, 0) for each in small), ({}, 60)):
        tracker = make_tracker(**settings)
        if visitors:
            fill(tracker, visitors=visitors)
        with make_client(tracker, drawer, headers=headers) as client:
            sign_in(client)
            for path in ("/", "/visitors", "/campaigns", "/health"):
                client.get(path)
        tracker.close()


def _break_down(tracker: Tracker, headers: dict[str, str], folder: Path) -> None:
    """Look while pictures are not drawn, and while the storage does not answer."""
    with closing(Drawer()) as drawer, make_client(tracker, drawer, headers=headers) as client:
        sign_in(client)
        drawer._engine.close()
        assert client.get("/").status_code == 200
        (folder / "alias.db").rename(folder / "elsewhere")
        (folder / "alias.db").mkdir()
        assert [client.get(path).status_code for path in ("/", "/health")] == [503, 200]
        (folder / "alias.db").rmdir()
        (folder / "elsewhere").rename(folder / "alias.db")
