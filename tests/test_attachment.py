"""A service that is attached to a reference: another namespace from that day on, and figures that say so."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from alias_middleware import Item, Tracker
from alias_middleware.attachment import remarks, split
from alias_middleware.cli.commands import standalone
from alias_middleware.errors import SettingsError
from alias_middleware.settings import make_settings
from alias_middleware.storage.base import Batch, Origin
from alias_middleware.storage.memory import MemoryStorage
from alias_middleware.storage.sqlite import SQLiteStorage
from alias_middleware.testing.histories import GAP_US, Teller, instant

ALIAS = "314522927347"
ON = date(2026, 3, 1)
OWN, SHARED = Origin("shop", "shop", GAP_US), Origin("shop", "news", GAP_US)
NAMED: dict[str, Any] = {"service": "shop", "reference": "news", "attached_on": ON, "trusted_gateways": []}
KEYS = [b"k" * 32]


def at(text: str) -> Any:
    """A clock that stands still."""
    return lambda: instant(text) * 1000


@pytest.fixture
def tracker() -> Iterator[Tracker]:
    opened = Tracker(**NAMED, storage=MemoryStorage(), spool=None, writer="external", clock=at("2026-03-20T12:00"))
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        pytest.param({"attached_on": "tomorrow"}, "a local date", id="no date"),
        pytest.param({"attached_on": "2026-03-01", "reference": None}, "goes with the reference", id="to nobody"),
        pytest.param({"attached_on": ON, "reference": "shop"}, "goes with the reference", id="to itself"),
    ],
)
def test_what_is_refused(given: dict[str, Any], says: str) -> None:
    """The message says what to write."""
    with pytest.raises(SettingsError, match=says) as refused:
        make_settings({**NAMED, **given})
    assert refused.value.setting == "attached_on"


@pytest.mark.parametrize(
    ("now", "starts"),
    [
        pytest.param("2026-02-28T23:59:59", False, id="the evening before"),
        pytest.param("2026-03-01T00:00", True, id="local midnight"),
    ],
)
def test_before_the_day_the_reference_is_refused(now: str, starts: bool) -> None:
    """The service still has aliases of its own, which may be those of other people there."""
    settings = {**NAMED, "storage": MemoryStorage(), "writer": "external", "clock": at(now)}
    if starts:
        Tracker(**settings).close()
        return
    with pytest.raises(SettingsError, match="until 2026-03-01"):
        Tracker(**settings)


def test_the_day_divides_the_namespaces() -> None:
    """Its own until the evening before, and the reference's from then on; a text will do for the date."""
    settings = make_settings({**NAMED, "attached_on": "2026-03-01"})
    days = [settings.namespace_on(ON.toordinal() + more) for more in (-1, 0, 1)]
    assert (days, settings.namespace) == (["shop", "news", "news"], "news")
    always = make_settings({**NAMED, "attached_on": None})
    assert (always.attachment, always.namespace_on(1)) == (None, "news")


@pytest.mark.parametrize(
    ("since", "until", "across", "number"),
    [
        pytest.param(date(2026, 2, 1), ON, False, 0, id="before"),
        pytest.param(date(2026, 2, 1), date(2026, 3, 2), True, 2, id="across"),
        pytest.param(ON, date(2026, 3, 2), False, 1, id="after"),
        pytest.param(ON, ON, False, 0, id="no day at all"),
    ],
)
def test_what_figures_cannot_tell_is_said(since: date, until: date, across: bool, number: int) -> None:
    """New and returning never after the day; whole numbers of people not across it."""
    assert split(ON, since, until) is across
    assert len(remarks(ON, since, until)) == number
    assert remarks(None, since, until) == []


def test_figures_count_across_it_as_they_say(tracker: Tracker) -> None:
    """The same person is two visitors, the second one new; profiles are those of the reference's aliases."""
    ids = count(1)
    before, after = (Teller(key=ALIAS, origin=origin, ids=ids) for origin in (OWN, SHARED))
    tracker.storage.apply(Batch(entries=[before.view("2026-02-27T12:00"), after.view("2026-03-02T12:00")]))
    summary = tracker.statistics.summary(date(2026, 2, 1), date(2026, 4, 1))
    assert (summary.visitors, summary.new_visitors, summary.attached_on) == (2, 2, ON)
    assert len(summary.remarks()) == 2
    earlier = tracker.statistics.summary(date(2026, 2, 1), ON)
    assert (earlier.visitors, earlier.attached_on) == (1, None)
    together = tracker.statistics.summary(date(2026, 2, 1), date(2026, 4, 1), service="*")
    assert (together.visitors, together.attached_on) == (1, ON)
    assert tracker.statistics.summary(ON, date(2026, 4, 1), service="news").attached_on is None
    assert tracker.statistics.series("visitors", ON, date(2026, 4, 1)).attached_on == ON
    assert tracker.statistics.explain("new_visitors").attached_on == ON
    assert tracker.visitor(ALIAS).profile.page_views == 1


def test_what_is_imported_belongs_to_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Log lines, orders and profiles, each under the key that the alias had in that namespace."""
    monkeypatch.setenv("ALIAS_PSEUDONYM_KEYS", KEYS[0].decode())
    line = '10.12.0.1 - - [{} +0100] "GET / HTTP/1.1" 200 1 "-" "Phone/1" "mUserAlias:{}"\n'
    (tmp_path / "access.log").write_text(
        line.format("28/Feb/2026:23:59:59", ALIAS) + line.format("01/Mar/2026:00:00:00", ALIAS)
    )
    (tmp_path / "orders.csv").write_text(
        "alias,order_id,time,currency,amount\n"
        f"{ALIAS},A,2026-02-28T12:00:00+01:00,EUR,2\n{ALIAS},B,2026-03-01T12:00:00+01:00,EUR,3\n"
    )
    (tmp_path / "profiles.csv").write_text(
        f"alias,font,time\n{ALIAS},small,2026-02-01T12:00:00+01:00\n{ALIAS},large,2026-03-02T12:00:00+01:00\n"
    )
    options = ["--storage", f"sqlite:///{tmp_path}/alias.db", "--service", "shop", "--reference", "news"]
    for what, name, more in (
        ("log", "access.log", ["--trusted-gateway", "10.12.0.0/16"]),
        ("purchases", "orders.csv", []),
        ("profiles", "profiles.csv", []),
    ):
        command = ["import", what, str(tmp_path / name), *options, "--attached-on", "2026-03-01", *more]
        result = CliRunner().invoke(standalone(), command, catch_exceptions=False)
        assert result.exit_code == 0, result.output
    storage = SQLiteStorage(f"sqlite:///{tmp_path}/alias.db")
    found = {}
    for reference in (None, "news"):
        other = Tracker(
            service="shop",
            reference=reference,
            trusted_gateways=[],
            pseudonym_keys=KEYS,
            storage=storage,
            writer="external",
        )
        profile = other.visitor(ALIAS).profile
        found[other.settings.namespace] = (profile.page_views, profile.revenue, profile["font"])
        other.close()
    storage.close()
    assert found == {"shop": (1, {"EUR": Decimal(2)}, "small"), "news": (1, {"EUR": Decimal(3)}, "large")}


def test_the_command_line_says_it(tmp_path: Path) -> None:
    """Beside the figures, and in JSON."""
    url = f"sqlite:///{tmp_path}/alias.db"
    named = {**NAMED, "storage": url, "writer": "external", "clock": at("2026-03-02T12:00")}
    with Tracker(**named).visitor(ALIAS) as visitor:
        visitor.purchase("A", [Item("rt-1", "Ringtone", price=Decimal(3))], currency="EUR")
    asked = ["--storage", url, "--service", "shop", "--reference", "news", "--attached-on", "2026-03-01"]
    days = ["--since", "2026-02-15", "--until", "2026-03-15"]
    for command in (["stats"], ["stats", "frequency"]):
        result = CliRunner().invoke(standalone(), [*command, *asked, *days], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        assert result.stderr.count("Note:") == 2, command
    result = CliRunner().invoke(standalone(), ["stats", *asked, *days, "--json"], catch_exceptions=False)
    assert '"attached_on": "2026-03-01"' in result.stdout
