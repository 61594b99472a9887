"""A known simulated history for the dashboard, and a browser-like client that is signed in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from itertools import count
from random import Random
from typing import Any

from starlette.testclient import TestClient

from alias_middleware import Tracker
from alias_middleware.dashboard import dashboard
from alias_middleware.dashboard.drawing import Drawer
from alias_middleware.profile import Operation
from alias_middleware.storage.base import Batch, Entry
from alias_middleware.testing.histories import NEWS, ZONE, Teller, change
from alias_middleware.transport import Outgoing

PASSWORD = "correct horse battery"
NOW = datetime(2026, 3, 31, 12, tzinfo=ZONE)
FIRST, LAST = date(2026, 3, 2), date(2026, 3, 31)
UNTIL = LAST + timedelta(days=1)
ALIAS = "314522927347"

CAMPAIGN = datetime(2026, 3, 20, 12, tzinfo=ZONE)
PLAN: dict[str, Any] = {"offer": "premium_transaction", "kind": "marketing", "sender": "36123"}

_VISITORS = 40
_DAYS = 70


def fill(tracker: Tracker, *, visitors: int = _VISITORS, seed: int = 5) -> None:
    """Record about ten weeks of visitors with habits, orders and refunds, and one visitor known well."""
    entries = _history(visitors, Random(seed))
    unidentified = {(NEWS, LAST.toordinal()): 12}
    tracker.storage.apply(Batch(entries=entries, unidentified=unidentified, counts={"seen": len(entries)}))
    _send_campaigns(tracker)
    said = [Operation("consent", "consents", "contact", [True, "settings page"])]
    kept = [Operation("set", "preferences", "font", "large"), Operation("set", "personal", "name", "Zoé")]
    tracker.storage.change_profile("portal", change(*said, *kept, at="2026-03-20T10:00"), timeout=5)


def _history(visitors: int, random: Random) -> list[Entry]:
    ids = count(1)
    entries: list[Entry] = []
    for number in range(visitors):
        teller = Teller(key=ALIAS if not number else f"{random.randrange(10**12):012}", ids=ids)
        favourite = random.choice(["sport", "music", "games"])
        for back in range(1, random.randrange(2, _DAYS)):
            if number and random.random() > 0.2:
                continue
            day = LAST - timedelta(days=back)
            entries += _visit(teller, day, favourite, random)
    return entries


def _visit(teller: Teller, day: date, favourite: str, random: Random) -> list[Entry]:
    hour, made = random.choice([7, 8, 12, 13, 18, 20, 21, 22]), []
    for minute in range(random.randrange(1, 6)):
        at = f"{day}T{hour:02}:{minute * 5:02}"
        category = favourite if random.random() < 0.7 else "weather"
        path, title = random.choice([("/", "Home"), (f"/{category}", category.title())])
        made.append(teller.view(at, path=path, title=title, category=category))
    if random.random() < 0.15:
        order = f"CMD-{len(made)}-{day}-{hour}"
        made.append(teller.purchase(f"{day}T{hour:02}:40", order, random.choice(["2.00", "3.50"])))
        if random.random() < 0.1:
            made.append(teller.refund(f"{day}T{hour:02}:50", order))
    if random.random() < 0.1:
        made.append(teller.message(f"{day}T{hour:02}:55", offer="premium_transaction"))
    return made


class Gateway:
    """An SMS gateway that takes every message."""

    def __init__(self) -> None:
        self.taken: list[str] = []

    def send(self, message: Outgoing) -> None:
        self.taken.append(message.message_id)


def _send_campaigns(tracker: Tracker) -> None:
    """Send one campaign eleven days ago, most of it delivered, and plan another."""
    gateway = Gateway()
    tracker.contact.declare_no_prior_optouts()
    with at(CAMPAIGN):
        tracker.contact.campaign("spring", text="Printemps !", **PLAN).run(gateway)
        for message_id in gateway.taken[2:]:
            tracker.contact.reported(message_id, "delivered")
    tracker.contact.campaign("summer", text="Bientot l'ete", **PLAN)


@contextmanager
def at(moment: datetime) -> Iterator[None]:
    """Let the clocks of all trackers made here show another moment."""
    _clock[0] = moment
    try:
        yield
    finally:
        _clock[0] = NOW


_clock = [NOW]


def make_tracker(**settings: Any) -> Tracker:
    """Make a tracker of the service `news`, in memory unless said otherwise, as of the end of March."""
    given = {"service": "news", "reference": "portal", "storage": "memory://", "secret_keys": ["k" * 32]}
    return Tracker(
        **{"trusted_gateways": [], "raise_errors": True, **given, **settings},
        clock=lambda: int(_clock[0].timestamp()) * 10**9,
    )


def make_client(
    tracker: Tracker, drawer: Drawer, *, headers: Mapping[str, str] | None = None, **arguments: Any
) -> TestClient:
    """Make a client of a tracker's dashboard; nobody is signed in yet."""
    app = dashboard(tracker, **{"password": PASSWORD, "now": NOW.timestamp, "drawer": drawer, **arguments})
    return TestClient(app, follow_redirects=False, headers=dict(headers or {}))


def token_in(page: str) -> str:
    """Give the token of a page's forms."""
    found = re.search(r'name="token" value="([^"]+)"', page)
    assert found is not None
    return found[1]


def sign_in(client: TestClient, password: str = PASSWORD) -> Any:
    """Send the form for signing in, and give the answer."""
    token = token_in(client.get("/login").text)
    return client.post("/login", data={"token": token, "password": password})
