"""Continuity end to end: when the cookie stands in for the header, when it is issued, when it is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from alias_middleware import HeaderAlias, Visitor
from alias_middleware.continuity import COOKIE
from alias_middleware.identity import Status
from tests.support.site import ALIAS, GATEWAY, HTML, OTHER_ALIAS, SECRET_KEYS, STRANGER, Answer, Given, Seen, Site


def who(visitor: Visitor, request: Seen) -> Given:
    """A page that says who is there."""
    return 200, HTML, [str(visitor.alias).encode()]


@pytest.fixture
def bridged(site: Site) -> Site:
    """A site with continuity."""
    site.settings.update(continuity=True, secret_keys=SECRET_KEYS)
    site.handler = who
    return site


def ask(
    site: Site, cookie: str | None, alias: str | None = None, header: str | None = None, **more: Any
) -> Answer:
    """Ask with a cookie, and possibly a header."""
    headers = [("Cookie", f"theme=dark; {cookie}")] if cookie else []
    if header is not None:
        headers.append(("wap-network-info", header))
    return site.get(alias=alias, headers=headers, **more)


@pytest.mark.parametrize(
    ("header", "peer", "status", "stands_in"),
    [
        pytest.param(None, GATEWAY, Status.ABSENT, True, id="ABSENT"),
        pytest.param("", GATEWAY, Status.EMPTY, True, id="EMPTY"),
        pytest.param("other:1", GATEWAY, Status.NO_ALIAS, True, id="NO_ALIAS"),
        pytest.param(f"mUserAlias:{OTHER_ALIAS}", STRANGER, Status.UNTRUSTED, True, id="UNTRUSTED"),
        pytest.param(
            f"mUserAlias:{OTHER_ALIAS},mUserAlias:{ALIAS}", GATEWAY, Status.CONFLICT, False, id="CONFLICT"
        ),
        pytest.param("nonsense", GATEWAY, Status.MALFORMED, False, id="MALFORMED"),
        pytest.param("mUserAlias:12", GATEWAY, Status.BAD_VALUE, False, id="BAD_VALUE"),
        pytest.param("\x7f", GATEWAY, Status.BAD_CHAR, False, id="BAD_CHAR"),
        pytest.param("x" * 300, GATEWAY, Status.TOO_LONG, False, id="TOO_LONG"),
    ],
)
def test_when_the_cookie_stands_in(
    bridged: Site, header: str | None, peer: str, status: Status, stands_in: bool
) -> None:
    """A header that is missing is bridged; one that is wrong is never overruled. The status stays what it was."""
    cookie = bridged.get().cookie()
    seen: list[Status] = []

    def handler(visitor: Visitor, request: Seen) -> Given:
        seen.append(visitor.status)
        return who(visitor, request)

    bridged.handler = handler
    answer = ask(bridged, cookie, header=header, peer=peer)
    assert answer.chunks == [(ALIAS if stands_in else "None").encode()]
    assert seen == [status]
    assert bridged.counters()["identity"].get("continuity", 0) == stands_in
    assert bridged.summary().page_views == 1 + stands_in


def test_the_header_always_wins(bridged: Site) -> None:
    """A cookie of somebody else is ignored beside a header, and replaced."""
    cookie = bridged.get().cookie()
    answer = ask(bridged, cookie, alias=OTHER_ALIAS)
    assert answer.chunks == [OTHER_ALIAS.encode()]
    assert ask(bridged, answer.cookie()).chunks == [OTHER_ALIAS.encode()]


@pytest.mark.parametrize("https", [True, False])
def test_the_cookie_itself(bridged: Site, https: bool) -> None:
    """Out of scripts' reach, Lax, 30 days, kept off plain HTTP where it came by https; the alias is not in it."""
    (set_cookie,) = bridged.get(https=https).all("Set-Cookie")
    value, *attributes = set_cookie.split("; ")
    assert value.startswith(f"{COOKIE}=")
    assert ALIAS not in value
    expected = {"HttpOnly", "SameSite=Lax", "Max-Age=2592000", "Path=/"} | ({"Secure"} if https else set())
    assert set(attributes) == expected


def test_an_answer_depends_on_the_cookie_too(bridged: Site) -> None:
    """With continuity, Vary names Cookie; an answer that sets the cookie is private even if untouched."""
    bridged.handler = lambda visitor, request: (200, HTML, [b"x"])
    answer = bridged.get()
    assert answer.all("Vary") == ["wap-network-info, cookie"]
    assert answer.all("Cache-Control") == ["private"]


@pytest.mark.parametrize(
    ("own", "sets"),
    [
        pytest.param("public, max-age=60", False, id="public"),
        pytest.param("s-maxage=60", False, id="for shared caches"),
        pytest.param("private, max-age=60", True, id="private"),
        pytest.param("no-store", True, id="not kept"),
    ],
)
def test_no_cookie_goes_with_an_answer_for_everybody(bridged: Site, own: str, sets: bool) -> None:
    """A shared cache would hand the cookie, and so the visitor, to everybody: such an answer carries none."""
    bridged.handler = lambda visitor, request: (200, [*HTML, ("Cache-Control", own)], [b"x"])
    assert bool(bridged.get().all("Set-Cookie")) is sets


def test_the_cookie_is_issued_on_the_header_only(bridged: Site) -> None:
    """Strangers and visitors known by the cookie get none, so that it does not slide: it ends after 30 days."""
    cookie = bridged.get().cookie()
    assert bridged.get(alias=None).all("Set-Cookie") == []
    bridged.clock.advance(days=29)
    answer = ask(bridged, cookie)
    assert (answer.chunks, answer.all("Set-Cookie")) == ([ALIAS.encode()], [])
    bridged.clock.advance(days=1)
    assert ask(bridged, cookie).chunks == [b"None"]


def test_the_cookie_is_issued_again_at_most_daily(bridged: Site) -> None:
    """A header renews the cookie once a day, not at each request."""
    cookie = bridged.get().cookie()
    bridged.clock.advance(hours=23)
    assert ask(bridged, cookie, alias=ALIAS).all("Set-Cookie") == []
    bridged.clock.advance(hours=1)
    assert ask(bridged, cookie, alias=ALIAS).cookie() != cookie


def test_the_cookie_is_refused_after_an_erasure(bridged: Site) -> None:
    """Whoever was erased is a stranger until a header names him again."""
    cookie = bridged.get().cookie()
    bridged.clock.advance(minutes=1)
    bridged.tracker.privacy.erase(ALIAS)
    assert ask(bridged, cookie).chunks == [b"None"]
    bridged.clock.advance(minutes=1)
    assert ask(bridged, bridged.get().cookie()).chunks == [ALIAS.encode()]


@pytest.mark.parametrize("value", ["", "x", "x" * 5000, "\xff", f"{ALIAS}"])
def test_a_forged_cookie_is_nobody(bridged: Site, value: str) -> None:
    """What was not issued counts for nothing and raises nothing."""
    assert ask(bridged, f"{COOKIE}={value}").chunks == [b"None"]


def test_the_cookie_is_bound_to_the_namespace(bridged: Site, tmp_path: Path) -> None:
    """Another service's cookie, signed with the same keys, is nobody."""
    cookie = bridged.get().cookie()
    other = Site(bridged.edge, "memory", tmp_path / "other")
    other.settings.update(service="videos", continuity=True, secret_keys=SECRET_KEYS)
    other.handler = who
    assert ask(other, cookie).chunks == [b"None"]
    other.close()


def test_an_alias_the_source_no_longer_accepts(bridged: Site) -> None:
    """After the operator's header changed, old cookies are strangers', without an error."""
    bridged.settings["source"] = HeaderAlias("x-acr", "[a-z]{8}")
    cookie = bridged.get(alias=None, headers=[("X-ACR", "abcdefgh")]).cookie()
    bridged._tracker = None
    bridged.settings["source"] = HeaderAlias("x-acr", "[0-9]{8}")
    assert ask(bridged, cookie).chunks == [b"None"]
