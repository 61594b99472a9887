"""Forgeries fired at real servers: what gets through is found out, and nothing stays behind."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from alias_middleware import Tracker, doctor
from alias_middleware.doctor import Finding, Level, Report
from alias_middleware.doctor.forgeries import CAUSES, COPY, PARSING, PEER, TWIN
from alias_middleware.doctor.probing import caching
from alias_middleware.doctor.wire import Reply
from alias_middleware.identity import HeaderAlias
from alias_middleware.statistics import Summary
from tests.gateways.operator import ALIASES, HAPROXY, KNOWN, NGINX, Proxy, on_wsgiref, operating
from tests.servers.catalogue import (
    GRANIAN_WSGI,
    GTHREAD,
    UVICORN,
    UVICORN_DIRECT,
    UVICORN_H11,
    UWSGI_BARE,
    WAITRESS,
)
from tests.servers.launch import Server, Site
from tests.servers.load import ALIAS, NAMED
from tests.support.servers import waitress_server

HERE = "127.0.0.1"
SECRET = ("x-gateway-key", "Jd8-3kfLq0_sPz7Wn1yVbXc5TgRhMuAe")
PATIENCE = 10.0


def examine(tracker: Tracker, url: str, *, as_gateway: bool = False, patience: float = PATIENCE) -> Report:
    """Have the doctor look at a page."""
    target = doctor.target_of(url)
    return doctor.examine(tracker, entropy=os.urandom, patience=patience, target=target, as_gateway=as_gateway)


def of_check(report: Report, check: str) -> list[Finding]:
    return [finding for finding in report.findings if finding.check == check]


def causes(report: Report) -> set[str]:
    """Give the causes for which forgeries got through."""
    said = [finding.measured for finding in of_check(report, "forgeries") if finding.level is not Level.OK]
    known = {cause for cause, words in CAUSES.items() for measured in said if words in measured}
    assert len(known) == len(said), said
    return known


def figures(tracker: Tracker) -> Summary:
    """Give the figures of these days."""
    assert tracker.flush()
    today, day = datetime.now(UTC).date(), timedelta(days=1)
    return tracker.statistics.summary(today - day, today + 2 * day)


@pytest.mark.parametrize(
    ("server", "settings", "as_gateway", "expected"),
    [
        pytest.param(GTHREAD, {"trusted_gateways": ["0.0.0.0/0"]}, False, {COPY}, id="everyone is trusted"),
        pytest.param(
            GTHREAD,
            {"trusted_gateways": [HERE], "gateway_secret": SECRET},
            False,
            set(),
            id="gunicorn that asks for a secret",
        ),
        pytest.param(WAITRESS, {}, False, set(), id="waitress as it is"),
        pytest.param(UVICORN, {}, False, {PEER}, id="uvicorn believes X-Forwarded-For"),
        pytest.param(UVICORN_DIRECT, {}, False, set(), id="uvicorn that does not"),
        pytest.param(UWSGI_BARE, {"trusted_gateways": [HERE]}, True, {TWIN}, id="uWSGI behind a lax gateway"),
        pytest.param(
            UWSGI_BARE,
            {"trusted_gateways": [HERE], "gateway_secret": SECRET},
            True,
            set(),
            id="uWSGI behind a lax gateway with a secret",
        ),
        pytest.param(
            GRANIAN_WSGI,
            {"trusted_gateways": [HERE], "gateway_secret": SECRET},
            True,
            {TWIN},
            id="granian, where a secret is not enough",
        ),
        pytest.param(UVICORN_H11, {"trusted_gateways": [HERE]}, True, {PARSING}, id="h11 reads a bare LF"),
    ],
)
def test_what_gets_through_is_found_out(
    tmp_path: Path, server: Server, settings: dict[str, Any], as_gateway: bool, expected: set[str]
) -> None:
    """Each deployment is told its own weakness, and none that it has not; the figures keep no made-up visitor."""
    site = Site(tmp_path, **settings)
    with site.served_by(server) as served, site.tracker() as tracker:
        served.ask("GET", "/", NAMED)  # a visitor of the gateway's, or nobody
        before = figures(tracker)
        report = examine(tracker, f"http://{HERE}:{served.where}/", as_gateway=as_gateway)
        after = figures(tracker)
    assert causes(report) == expected
    assert of_check(report, "drainer")[0].level is Level.OK
    assert of_check(report, "caches")[0].level is Level.OK
    assert len(report.forgeries) > 20
    named = sum(shot.named for shot in report.forgeries)
    assert (after.visitors, after.page_views) == (before.visitors, before.page_views)
    assert after.erased == named + as_gateway


@pytest.mark.parametrize(
    ("proxy", "keeps_underscores", "expected"),
    [
        pytest.param(NGINX, False, set(), id="nginx"),
        pytest.param(HAPROXY, False, set(), id="HAProxy as documented"),
        pytest.param(HAPROXY, True, {TWIN}, id="HAProxy as it comes"),
    ],
)
def test_gateway_is_examined_from_a_phones_side(
    tmp_path: Path, proxy: Proxy, keeps_underscores: bool, expected: set[str]
) -> None:
    """Asked through the gateway, as a phone that it does not know, the doctor finds what it lets through."""

    def edit(configuration: str) -> str:
        text = configuration.replace("gallery.test", HERE)
        return text.replace("hdr-names delete", "hdr-names preserve") if keeps_underscores else text

    settings: dict[str, dict[str, Any]] = {service: {} for service in ALIASES}
    with operating(proxy, on_wsgiref, tmp_path, settings=settings, edit=edit) as operator:
        report = examine(operator.trackers["gallery"], f"http://{HERE}:{operator.port}/")
        assert causes(report) == expected
        assert operator.ask_by_address(KNOWN, "/").text == ALIASES["gallery"]


def test_storage_of_another_site_cannot_tell(tmp_path: Path) -> None:
    """Where the page leaves no trace in the storage at hand nothing is claimed, and nothing is fired."""
    (tmp_path / "other").mkdir()
    site, other = Site(tmp_path), Site(tmp_path / "other")
    with site.served_by(WAITRESS) as served, other.tracker() as tracker:
        tracker.visitor(ALIAS).track("download")
        assert tracker.flush()
        report = examine(tracker, f"http://{HERE}:{served.where}/", patience=0.2)
    (found,) = of_check(report, "forgeries")
    assert found.level is Level.FAIL
    assert "nothing can be told" in found.measured
    assert report.forgeries == []


def test_gateway_that_the_site_does_not_trust_is_told(tmp_path: Path) -> None:
    """Who plays the gateway without being trusted learns that the header is not believed."""
    site = Site(tmp_path)
    with site.served_by(WAITRESS) as served, site.tracker() as tracker:
        report = examine(tracker, f"http://{HERE}:{served.where}/", as_gateway=True, patience=0.2)
    (found,) = of_check(report, "gateway")
    assert found.level is Level.FAIL
    assert report.forgeries == []


def test_spool_that_the_site_does_not_drain(tmp_path: Path) -> None:
    """A site with an external writer that nobody runs: found out by what happens, whatever the settings say."""
    site = Site(tmp_path, writer="external")
    with site.served_by(WAITRESS) as served, site.tracker() as tracker:
        tracker.visitor(ALIAS).track("download")
        report = examine(tracker, f"http://{HERE}:{served.where}/", patience=0.5)
    (found,) = of_check(report, "drainer")
    assert found.level is Level.FAIL
    assert "nobody drains" in found.measured
    assert causes(report) == set()


@pytest.mark.parametrize(
    ("path", "said"),
    [
        pytest.param("/process", "text/plain: no page view", id="no page"),
        pytest.param("/buy/1", "", id="a page"),
    ],
)
def test_url_has_to_be_a_page(tmp_path: Path, path: str, said: str) -> None:
    """Only page views leave a trace, so that another URL is refused before anything is fired."""
    site = Site(tmp_path)
    with site.served_by(WAITRESS) as served, site.tracker() as tracker:
        report = examine(tracker, f"http://{HERE}:{served.where}{path}")
    assert [said in finding.measured for finding in of_check(report, "url")] == ([True] if said else [])
    assert bool(report.forgeries) == (not said)


def test_site_that_does_not_answer(tmp_path: Path) -> None:
    """A port that nobody listens on is a failure, with the rest of the report."""
    with Site(tmp_path).tracker() as tracker:
        tracker.visitor(ALIAS).track("download")
        report = examine(tracker, f"http://{HERE}:1/", patience=0.1)
    assert "nobody answers" in of_check(report, "url")[0].measured
    assert of_check(report, "storage")[0].level is Level.OK


def test_without_a_page_only_the_settings_are_checked(tmp_path: Path) -> None:
    """No request is made; what is there is examined."""
    with Site(tmp_path).tracker() as tracker:
        tracker.visitor(ALIAS).track("download")
        report = doctor.examine(tracker, entropy=os.urandom, patience=0.1)
    checked = {finding.check for finding in report.findings}
    assert {"trust", "keys", "spool", "disk", "storage", "counters", "clock", "drainer", "versions"} <= checked
    assert not {"url", "forgeries", "caches"} & checked


def test_report_tells_no_alias(tmp_path: Path) -> None:
    """Neither the made-up aliases nor those of visitors are in it."""
    site = Site(tmp_path, trusted_gateways=["0.0.0.0/0"])
    with site.served_by(WAITRESS) as served, site.tracker() as tracker:
        served.ask("GET", "/", NAMED)
        report = examine(tracker, f"http://{HERE}:{served.where}/")
    text = repr(report)
    assert "mUserAlias" not in text
    assert ALIAS not in text


def test_other_sources_are_not_probed(tmp_path: Path) -> None:
    """A site with another operator's header is told that the forgeries are none for it."""
    site = Site(tmp_path)
    with site.served_by(WAITRESS) as served:
        tracker = Tracker(
            **{**site.settings, "source": HeaderAlias("x-acr", "[0-9a-f]{32}"), "writer": "external"}
        )
        report = examine(tracker, f"http://{HERE}:{served.where}/")
        tracker.close()
    (found,) = of_check(report, "forgeries")
    assert found.level is Level.WARN


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a folder away")
def test_another_users_site_is_left_alone(tmp_path: Path) -> None:
    """What root leaves there the site could not read: nothing is opened or written, and it is said."""
    site = Site(tmp_path)
    folder = tmp_path / "alias.db-spool"
    folder.mkdir(mode=0o700)
    os.chown(folder, 65534, 65534)
    with site.tracker() as tracker:
        report = doctor.examine(tracker, entropy=os.urandom, patience=0.1)
        assert os.listdir(folder) == []
        assert os.listdir(tmp_path) == ["alias.db-spool"]
    assert of_check(report, "user")[0].level is Level.FAIL
    assert not of_check(report, "storage")


def test_server_whose_clock_is_wrong_is_warned_of(tmp_path: Path) -> None:
    """The server's own Date tells, on whichever machine it is."""

    def long_ago(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/html"), ("Date", "Fri, 31 Dec 1999 23:59:59 GMT")])
        return [b"hello"]

    with Site(tmp_path).tracker() as tracker, waitress_server(long_ago) as port:
        report = examine(tracker, f"http://{HERE}:{port}/", patience=0.1)
    assert "differs from ours" in of_check(report, "clock")[0].measured


@pytest.mark.parametrize(
    ("headers", "level"),
    [
        pytest.param(
            [("Vary", "wap-network-info"), ("Cache-Control", "private")], Level.OK, id="personal, private"
        ),
        pytest.param(
            [("Vary", "Cookie, WAP-Network-Info"), ("Cache-Control", "no-store")], Level.OK, id="not kept"
        ),
        pytest.param([("Cache-Control", "public, max-age=60")], Level.OK, id="the same for all"),
        pytest.param([], Level.OK, id="nothing said"),
        pytest.param([("Vary", "wap-network-info")], Level.FAIL, id="personal, but a proxy removed the rest"),
        pytest.param(
            [("Vary", "*"), ("Cache-Control", "public")], Level.WARN, id="personal, and the app says public"
        ),
        pytest.param(
            [("Vary", "wap-network-info"), ("Cache-Control", "max-age=60")],
            Level.WARN,
            id="personal, kept a minute",
        ),
    ],
)
def test_personal_pages_stay_out_of_shared_caches(headers: list[tuple[str, str]], level: Level) -> None:
    """What says that it depends on the visitor must not be kept for another, who may sit behind a simple cache."""
    (found,) = caching("wap-network-info", Reply(200, headers))
    assert (found.level, found.check) == (level, "caches")
