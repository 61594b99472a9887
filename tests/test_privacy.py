"""Export and erasure of a visitor, through the tracker."""

from __future__ import annotations

import json
import logging
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from alias_middleware import Item, Tracker, Visitor
from alias_middleware.errors import SettingsError
from alias_middleware.habits import Habits, Reach, Strength
from alias_middleware.history import Knowledge
from alias_middleware.privacy import export_document
from alias_middleware.profile import StoredProfile
from alias_middleware.storage.outbox import Suppression
from alias_middleware.testing._contract_batches import bare
from alias_middleware.testing.histories import Teller
from alias_middleware.writer import REJECTED
from tests.support.site import ALIAS, BEGINNING, HTML, Given, Seen, Site


def everything(visitor: Visitor, request: Seen) -> Given:
    """A page that leaves something of every kind."""
    visitor.profile["font"] = "large"
    visitor.profile.personal["name"] = "Ada"
    visitor.consent("contact", True, source="settings page")
    visitor.track("look", sku="rt-42")
    visitor.purchase("CMD-1", [Item("rt-42", "Sonnerie", price=Decimal("3.00"))], currency="EUR")
    visitor.refund("CMD-1", amount=1)
    return 200, HTML, [b"x"]


def test_an_export_is_complete(site: Site) -> None:
    """Everything stored of a visitor, as plain JSON."""
    site.handler = everything
    site.get("/a")
    stored = site.stored()
    assert json.loads(json.dumps(stored)) == stored
    assert stored["preferences"] == {"font": "large"}
    assert stored["personal"] == {"name": "Ada"}
    assert [said[0] for said in stored["consents"]["contact"]] == [True]
    kinds = sorted(event["type"] for event in stored["history"])
    assert kinds == ["PageView", "Purchase", "Refund", "TrackedEvent"]
    assert stored["knowledge"]["page_views"] == 1


def test_an_erasure_leaves_nothing(site: Site) -> None:
    """Profile, history and figures are gone; the number of erasures is shown."""
    site.handler = everything
    site.get()
    site.flush()
    site.clock.advance(seconds=1)
    gone = site.tracker.privacy.erase(ALIAS)
    assert sum(gone.values()) > 0
    stored = site.stored()
    assert not any(stored[part] for part in ("preferences", "personal", "consents", "history"))
    summary = site.summary()
    assert (summary.visitors, summary.orders, summary.erased) == (0, 0, 1)


def test_a_request_begun_before_an_erasure_rebuilds_nothing(site: Site) -> None:
    """What a request in flight records and changes after the erasure is dropped; a later request starts anew."""

    def in_flight(visitor: Visitor, request: Seen) -> Given:
        site.clock.advance(seconds=1)
        site.tracker.privacy.erase(ALIAS)
        site.clock.advance(seconds=1)
        return everything(visitor, request)

    site.handler = in_flight
    site.get()
    stored = site.stored()
    assert not any(stored[part] for part in ("preferences", "personal", "consents", "history"))
    assert site.counters()["dropped"] == {"erased": 4}
    site.handler = everything
    site.clock.advance(seconds=1)
    site.get()
    assert site.stored()["preferences"] == {"font": "large"}
    assert len(site.stored()["history"]) == 4


def test_events_in_the_spool_are_erased_too(site: Site) -> None:
    """What waits in the spool when somebody is erased never arrives."""
    site.get()
    site.clock.advance(seconds=1)
    site.tracker.privacy.erase(ALIAS)
    assert site.stored()["history"] == []


def test_an_import_does_not_bring_back_what_was_erased(site: Site) -> None:
    """An event timed before the erasure is dropped, whenever it is told; one timed after it is kept."""
    site.tracker.privacy.erase(ALIAS)
    site.clock.advance(hours=1)
    visitor = site.tracker.visitor(ALIAS)
    visitor.track("old", at=BEGINNING - timedelta(days=1))
    visitor.track("new", at=BEGINNING + timedelta(minutes=1))
    assert [event["name"] for event in site.stored()["history"]] == ["new"]
    assert site.counters()["dropped"] == {"erased": 1}


@pytest.mark.parametrize("alias", ["", "12", "not an alias"])
def test_only_aliases_are_taken(site: Site, alias: str) -> None:
    """A mistyped alias is an error, not an empty export."""
    for call in (site.tracker.privacy.export, site.tracker.privacy.erase):
        with pytest.raises(ValueError, match="no alias"):
            call(alias)


def test_an_export_is_plain_json() -> None:
    """Everything known of a visitor, by name, money as exact text."""
    stored = StoredProfile(b'{"font":"large"}', b'{"name":"N"}', b'{"contact":[[true,1,"page"]]}')
    tell = Teller()
    events = [bare(tell.purchase("2026-03-02T12:00", "A", "3.00")), bare(tell.view("2026-03-02T11:00"))]
    habits = Habits({"sport": Strength(2.0, 2)}, {"/": Reach(1.0)})
    suppressions = [Suppression("marketing", "STOP", "sms", 7)]
    document = export_document(stored, Knowledge(visits=1), events, suppressions, habits)
    assert document["habits"]["categories"]["sport"]["pages"] == 2
    assert document["habits"]["pages"]["/"]["title"] is None
    assert document["preferences"] == {"font": "large"}
    assert document["personal"] == {"name": "N"}
    assert document["consents"] == {"contact": [[True, 1, "page"]]}
    assert document["knowledge"]["visits"] == 1
    assert [event["type"] for event in document["history"]] == ["Purchase", "PageView"]
    item = {"sku": "rt-42", "name": "Ringtone", "category": "music", "price": "3.00", "quantity": 1}
    assert document["history"][0]["items"] == [item]
    assert document["suppressions"] == [{"scope": "marketing", "reason": "STOP", "channel": "sms", "time_us": 7}]


def test_what_is_too_old_goes(site: Site) -> None:
    """After 25 months raw events go and their figures stay; after 3 years without a visit, the visitor."""
    if str(site.settings["storage"]).startswith("memory"):
        with pytest.raises(SettingsError, match="purges nothing"):
            site.tracker.privacy.purge()
        return
    site.handler = everything
    site.get()
    before = site.summary()
    privacy = site.tracker.privacy
    site.clock.advance(days=760)
    assert privacy.purge(dry_run=True)["events"] == 0
    site.clock.advance(days=1)
    assert privacy.purge(dry_run=True) == privacy.purge()
    kept = [event["type"] for event in site.stored()["history"]]
    assert sorted(kept) == ["Purchase", "Refund"]
    assert site.stored()["preferences"] == {"font": "large"}
    site.clock.advance(days=1095 - 761)
    assert privacy.purge()["visitors"] == 0
    site.clock.advance(days=1)
    gone = privacy.purge()
    assert (gone["visitors"], gone["profiles"], gone["orders"]) == (1, 1, 1)
    assert site.stored()["history"] == []
    year = BEGINNING.date().replace(month=1, day=1)
    assert site.tracker.statistics.summary(year, year.replace(year=year.year + 1)) == before


@pytest.mark.parametrize(
    ("raw", "idle"),
    [
        pytest.param(timedelta(days=30), timedelta(days=29), id="profiles before raw events"),
        pytest.param(timedelta(days=-1), timedelta(days=29), id="the future"),
    ],
)
def test_retention_makes_sense(site: Site, raw: timedelta, idle: timedelta) -> None:
    """A purge that would change live figures is refused."""
    with pytest.raises(ValueError, match="no shorter"):
        site.tracker.privacy.purge(raw_older_than=raw, profiles_idle=idle)


def test_exports_are_audited(site: Site) -> None:
    """Each leaves who asked and why; an erasure does not take that away."""
    privacy = site.tracker.privacy
    privacy.export(ALIAS, requester="Ada", reason="by letter")
    privacy.erase(ALIAS)
    assert [(row.requester, row.reason, row.what) for row in privacy.disclosures(ALIAS)] == [
        ("Ada", "by letter", "export")
    ]


def test_no_byte_of_an_erased_visitor_is_left(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Not in the database, the spool, what is kept aside there, nor a log, once what waited is drained."""
    storage = f"sqlite:///{tmp_path}/alias.db"
    tracker = Tracker(service="sonneries", storage=storage, trusted_gateways=[], writer="external")
    with caplog.at_level(logging.DEBUG):
        visitor = tracker.visitor(ALIAS)
        visitor.profile.personal["name"] = "Ada"
        visitor.track("look")
        assert tracker.drain()
        visitor.track("late")
        aside = tmp_path / "alias.db-spool" / REJECTED
        aside.write_text(f'{{"service":"sonneries","event":["t","{ALIAS}"]}}\n')
        assert tracker.privacy.erase(ALIAS)["rejected"] == 1
        assert tracker.drain()
        tracker.close()
    left = [path.name for path in tmp_path.rglob("*") if path.is_file() and ALIAS.encode() in path.read_bytes()]
    assert left == []
    assert ALIAS not in caplog.text
