"""What holds on both edges and both storages: recognition, privacy of answers, recording."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from decimal import Decimal

import pytest

from alias_middleware import Item, Visitor, current_visitor
from alias_middleware.identity import Status
from tests.support.site import ALIAS, GATEWAY, HTML, OTHER_ALIAS, STRANGER, Given, Header, Seen, Site

ORDER = [Item("rt-42", "Sonnerie", category="music", price=Decimal("3.00"))]


@pytest.mark.parametrize(
    ("peer", "header", "alias", "status"),
    [
        pytest.param(GATEWAY, f"mUserAlias:{ALIAS}", ALIAS, Status.OK, id="from a gateway"),
        pytest.param(STRANGER, f"mUserAlias:{ALIAS}", None, Status.UNTRUSTED, id="from a stranger"),
        pytest.param("garbage", f"mUserAlias:{ALIAS}", None, Status.UNTRUSTED, id="from no address"),
        pytest.param(None, f"mUserAlias:{ALIAS}", None, Status.UNTRUSTED, id="from a Unix socket not listed"),
        pytest.param(
            GATEWAY, f"mUserAlias:{ALIAS},mUserAlias:{OTHER_ALIAS}", None, Status.CONFLICT, id="two aliases"
        ),
        pytest.param(GATEWAY, "nonsense", None, Status.MALFORMED, id="nonsense"),
        pytest.param(GATEWAY, None, None, Status.ABSENT, id="no header"),
    ],
)
def test_recognition(site: Site, peer: str | None, header: str | None, alias: str | None, status: Status) -> None:
    """The app sees who is there, or a false visitor with the reason, which is counted by kind."""
    seen: list[tuple[str | None, bool, Status]] = []

    def handler(visitor: Visitor, request: Seen) -> Given:
        seen.append((visitor.alias, bool(visitor), visitor.status))
        assert "wap-network-info" not in request.headers
        return 200, HTML, [b"x"]

    site.handler = handler
    site.get(alias=None, peer=peer, headers=[("wap-network-info", header)] if header else [])
    assert seen == [(alias, alias is not None, status)]
    assert site.counters()["identity"] == {status.value: 1}


@pytest.mark.parametrize(
    ("given", "recognised"),
    [
        pytest.param([("x-gate", "open sesame")], True, id="right"),
        pytest.param([("x-gate", "open barley")], False, id="wrong"),
        pytest.param([], False, id="missing"),
    ],
)
def test_gateway_secret(site: Site, given: list[Header], recognised: bool) -> None:
    """The secret is asked for besides the address, and neither secret nor header reaches the app in any case."""
    site.settings["gateway_secret"] = ("X-Gate", "open sesame")
    seen: list[bool] = []

    def handler(visitor: Visitor, request: Seen) -> Given:
        seen.append(bool(visitor))
        assert not {"x-gate", "wap-network-info"} & set(request.headers)
        assert request.headers["x-own"] == "1"
        return 200, HTML, [b"x"]

    site.handler = handler
    site.get(headers=[*given, ("x-own", "1")])
    assert seen == [recognised]


@pytest.mark.parametrize(
    ("own", "added"),
    [
        pytest.param([], [("Vary", "wap-network-info"), ("Cache-Control", "private")], id="nothing of its own"),
        pytest.param(
            [("Vary", "Accept"), ("VARY", "Cookie")],
            [("Vary", "Accept, Cookie, wap-network-info"), ("Cache-Control", "private")],
            id="two Vary are merged into one",
        ),
        pytest.param([("Vary", "*")], [("Vary", "*"), ("Cache-Control", "private")], id="a star says it all"),
        pytest.param(
            [("Vary", "WAP-Network-Info")],
            [("Vary", "WAP-Network-Info"), ("Cache-Control", "private")],
            id="said already",
        ),
        pytest.param(
            [("cache-control", "no-store")],
            [("cache-control", "no-store"), ("Vary", "wap-network-info")],
            id="its own Cache-Control",
        ),
    ],
)
@pytest.mark.parametrize("alias", [ALIAS, None])
def test_a_touched_answer_says_what_it_depends_on(
    site: Site, own: list[Header], added: list[Header], alias: str | None
) -> None:
    """Vary and Cache-Control tell caches that the answer is personal, also where nobody was recognised."""
    site.handler = lambda visitor, request: (200, [*HTML, *own], [b"hello" if visitor else b"who?"])
    answer = site.get(alias=alias)
    told = [(name.lower(), value) for name, value in answer.headers if name.lower() != "content-type"]
    assert told == [(name.lower(), value) for name, value in added]


def test_an_untouched_answer_is_unchanged(site: Site) -> None:
    """Without a look at the visitor, headers and chunks are passed on as they are; the page view still counts."""
    headers = [*HTML, ("Vary", "Accept"), ("vary", "Cookie"), ("X-Odd", "\xe9"), ("ETag", '"1"')]

    def handler(visitor: Visitor, request: Seen) -> Given:
        visitor.page(title="hello", category="news")
        return 200, headers, [b"a", b"b"]

    site.handler = handler
    answer = site.get()
    assert (answer.headers, answer.chunks) == (headers, [b"a", b"b"])
    assert site.summary().page_views == 1


XHTML, WML = "application/xhtml+xml", "text/vnd.wap.wml; charset=utf-8"


@pytest.mark.parametrize(
    ("method", "status", "content_type", "asked", "counts"),
    [
        pytest.param("GET", 200, "text/html", [], True, id="HTML"),
        pytest.param("GET", 200, WML, [], True, id="WML"),
        pytest.param("GET", 206, XHTML, [], True, id="any 2xx"),
        pytest.param("GET", 200, "image/png", [], False, id="a picture"),
        pytest.param("GET", 302, "text/html", [], False, id="a redirect"),
        pytest.param("GET", 404, "text/html", [], False, id="not found"),
        pytest.param("GET", 500, "text/html", [], False, id="a failure"),
        pytest.param("HEAD", 200, "text/html", [], False, id="HEAD"),
        pytest.param("POST", 200, "text/html", [], False, id="POST"),
        pytest.param("GET", 200, "text/html", [("Sec-Purpose", "prefetch;prerender")], False, id="a prefetch"),
        pytest.param("GET", 200, "text/html", [("X-Moz", "prefetch")], False, id="an old prefetch"),
        pytest.param("GET", 304, "", [("Accept", "text/html,*/*")], True, id="304 asked for as a page"),
        pytest.param("GET", 304, "", [("Accept", "*/*")], False, id="304 asked for as anything"),
    ],
)
@pytest.mark.parametrize("alias", [ALIAS, None])
def test_what_counts_as_a_page_view(
    site: Site, method: str, status: int, content_type: str, asked: list[Header], counts: bool, alias: str | None
) -> None:
    """A page view is a page shown; without an alias it is counted by day, with nothing about the person."""
    headers = [("Content-Type", content_type)] if content_type else []
    site.handler = lambda visitor, request: (status, headers, [])
    site.get(alias=alias, method=method, headers=asked)
    summary = site.summary()
    assert summary.page_views == (counts and alias is not None)
    assert summary.unidentified_page_views == (counts and alias is None)


def test_excluded_paths(site: Site) -> None:
    """Paths that match an exclusion are served as ever and not counted."""
    site.settings["excluded_paths"] = ["/health", "/static/*"]
    for path in ("/health", "/static/a/b", "/healthy", "/"):
        assert site.get(path).chunks == [b"<p>hello</p>"]
    assert [event["path"] for event in site.stored()["history"]] == ["/", "/healthy"]


def test_a_long_path_is_cut(site: Site) -> None:
    """It is recorded as far as it goes, and no error."""
    site.get("/" + "a" * 600)
    assert [event["path"] for event in site.stored()["history"]] == ["/" + "a" * 511]


def test_a_304_counts_where_the_app_says_it_is_a_page(site: Site) -> None:
    """`page()` makes a 304 a page view, with its annotation."""

    def handler(visitor: Visitor, request: Seen) -> Given:
        visitor.page(title="Sport", category="sport")
        return 304, [], []

    site.handler = handler
    site.get("/sport", headers=[("Accept", "*/*")])
    (event,) = site.stored()["history"]
    assert (event["path"], event["title"], event["category"]) == ("/sport", "Sport", "sport")


def test_strangers_do_no_harm(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing on an unrecognised visitor raises; what cannot be recorded is counted, a purchase also logged."""

    def handler(visitor: Visitor, request: Seen) -> Given:
        visitor.profile["font"] = "large"
        visitor.profile.personal["name"] = "Ada"
        visitor.profile.increment("n")
        assert (visitor.profile["font"], visitor.profile["n"], visitor.profile.orders) == ("large", 1, 0)
        visitor.consent("contact", True, source="settings page")
        assert visitor.allows("contact")
        assert visitor.history() == []
        assert not visitor.track("download", sku="rt-42")
        assert not visitor.purchase("CMD-1042", ORDER, currency="EUR")
        assert not visitor.refund("CMD-1042")
        return 200, HTML, [b"x"]

    site.handler = handler
    with caplog.at_level(logging.WARNING, "alias_middleware"):
        site.get(peer=STRANGER)
    assert site.counters()["dropped"] == {"no_alias": 3}
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "purchase" in record.getMessage()
    assert not any(word in record.getMessage() for word in (ALIAS, "CMD-1042", "rt-42", STRANGER))
    assert site.stored()["preferences"] == {}


def test_a_preference_is_there_for_the_next_request(site: Site) -> None:
    """What one request writes, the next one reads, before anything was drained; another visitor does not."""
    seen: list[object] = []

    def handler(visitor: Visitor, request: Seen) -> Given:
        seen.append(list(visitor.profile.get("fonts", [])))
        visitor.profile.setdefault("fonts", []).append(request.path)
        return 200, HTML, [b"x"]

    site.handler = handler
    for path in ("/a", "/b", "/c"):
        site.get(path)
    assert seen == [[], ["/a"], ["/a", "/b"]]
    site.get("/a", alias=OTHER_ALIAS)
    assert seen[-1] == []


def test_a_preference_is_stored_before_the_answer_starts(site: Site) -> None:
    """When the first byte arrives, the change has been made: the visitor may click at once."""
    found: list[object] = []

    def handler(visitor: Visitor, request: Seen) -> Given:
        visitor.profile["font"] = "large"
        return 200, HTML, iter([b"x"])

    site.handler = handler
    site.on_chunk = lambda chunk: found.append(site.tracker.privacy.export(ALIAS)["preferences"])
    site.get()
    assert found[0] == {"font": "large"}


def test_streaming(site: Site) -> None:
    """When a chunk arrives, all that was tracked before it is in the spool, the page view included."""
    counted: list[int] = []

    def chunks(visitor: Visitor) -> Iterator[bytes]:
        for number in range(3):
            visitor.track("part")
            visitor.profile.increment("parts")
            yield str(number).encode()
        visitor.track("end")
        visitor.profile["done"] = True

    site.handler = lambda visitor, request: (200, HTML, chunks(visitor))
    site.on_chunk = lambda chunk: counted.append(site.counters()["spooled"]) if chunk else None
    assert site.get().chunks == [b"0", b"1", b"2"]
    assert counted == [2, 3, 4]
    assert site.counters()["spooled"] == 5
    assert site.stored()["preferences"] == {"parts": 3, "done": True}


class BrokenError(Exception):
    """The app's own failure."""


def test_an_exception_before_the_answer_starts(site: Site) -> None:
    """It reaches the server as it is; what was recorded and changed before it is kept, no page view is counted."""

    def handler(visitor: Visitor, request: Seen) -> Given:
        visitor.track("try")
        visitor.profile["tries"] = 1
        raise BrokenError

    site.handler = handler
    with pytest.raises(BrokenError):
        site.get()
    stored = site.stored()
    assert [event["type"] for event in stored["history"]] == ["TrackedEvent"]
    assert stored["preferences"] == {"tries": 1}
    assert current_visitor.get(None) is None


def test_an_exception_in_the_body(site: Site) -> None:
    """It reaches the server as it is; the page view and everything before it are kept."""

    def chunks(visitor: Visitor) -> Iterator[bytes]:
        yield b"x"
        visitor.track("half")
        visitor.profile["half"] = True
        raise BrokenError

    site.handler = lambda visitor, request: (200, HTML, chunks(visitor))
    with pytest.raises(BrokenError):
        site.get()
    stored = site.stored()
    assert [event["type"] for event in stored["history"]].count("PageView") == 1
    assert stored["knowledge"]["page_views"] == 1
    assert stored["preferences"] == {"half": True}
    assert current_visitor.get(None) is None


def test_the_contextvar(site: Site) -> None:
    """`current_visitor` is the request's visitor while it is served, its body included, and nobody after."""
    seen: list[bool] = []

    def chunks(visitor: Visitor) -> Iterator[bytes]:
        seen.append(current_visitor.get() is visitor)
        yield b"x"

    def handler(visitor: Visitor, request: Seen) -> Given:
        seen.append(current_visitor.get() is visitor)
        return 200, HTML, chunks(visitor)

    site.handler = handler
    site.get()
    site.get(alias=None)
    assert seen == [True] * 4
    assert current_visitor.get(None) is None


def test_an_order_is_recorded_whatever_the_status(site: Site) -> None:
    """A purchase followed by a redirect is kept, once however often the page is reloaded."""

    def handler(visitor: Visitor, request: Seen) -> Given:
        assert visitor.purchase("CMD-1042", ORDER, currency="EUR")
        return 303, [*HTML, ("Location", "/thanks")], []

    site.handler = handler
    for _ in range(2):
        assert site.get("/buy", method="POST").status == 303
    summary = site.summary()
    assert (summary.orders, summary.revenue, summary.clients) == (1, {"EUR": Decimal("3.00")}, 1)
    assert site.counters()["deduplicated"] == 1


def test_two_visitors_do_not_meet(site: Site) -> None:
    """Each request sees its own visitor, and a stranger after them sees nobody."""

    def inner(visitor: Visitor, request: Seen) -> Given:
        return 200, HTML, [str(visitor.alias).encode()]

    site.handler = inner
    assert [site.get(alias=alias).chunks for alias in (ALIAS, OTHER_ALIAS, None)] == [
        [ALIAS.encode()],
        [OTHER_ALIAS.encode()],
        [b"None"],
    ]
