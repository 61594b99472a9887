"""What is particular to the WSGI edge: `environ`, bodies of every kind, `write`, `exc_info`, `close`."""

from __future__ import annotations

import functools
import io
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment
from wsgiref.util import FileWrapper, setup_testing_defaults

import pytest

from alias_middleware import Visitor, current_visitor
from alias_middleware.wsgi import ENVIRON_KEY, AliasMiddleware
from tests.support.site import ALIAS, GATEWAY, OTHER_ALIAS, Answer, Header, Site, serve_wsgi

HTML: list[Header] = [("Content-Type", "text/html")]


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    """A site on the WSGI edge, in memory."""
    return make_site("wsgi")


def environ_of(alias: str | None = ALIAS, **more: Any) -> WSGIEnvironment:
    """What a server makes of a gateway's request."""
    environ: WSGIEnvironment = {"REMOTE_ADDR": GATEWAY, **more}
    if alias is not None:
        environ["HTTP_WAP_NETWORK_INFO"] = f"mUserAlias:{alias}"
    setup_testing_defaults(environ)
    return environ


def serve(site: Site, app: Any, environ: WSGIEnvironment | None = None) -> Answer:
    """Serve one request by an app behind the site's tracker."""
    return serve_wsgi(AliasMiddleware(app, tracker=site.tracker), environ or environ_of())


class Closable:
    """A body that notes how often it was closed, and tracks something as it is."""

    def __init__(self, visitor: Visitor, chunks: Iterable[bytes]) -> None:
        self.visitor = visitor
        self.chunks = iter(chunks)
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        return self.chunks

    def close(self) -> None:
        self.closed += 1
        self.visitor.track("closed")
        self.visitor.profile["closed"] = True


@pytest.mark.parametrize("body", [[b"a", b"b"], (b"a",), []], ids=["list", "tuple", "empty"])
def test_a_finished_body_is_passed_through(site: Site, body: list[bytes] | tuple[bytes, ...]) -> None:
    """A list is given to the server as it is, so that it can count it; the page view is recorded before."""
    before = current_visitor.get(None)

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", HTML)
        return body

    given = AliasMiddleware(app, tracker=site.tracker)(environ_of(), lambda *args: lambda chunk: None)
    assert given is body
    assert site.counters()["spooled"] == 1
    assert current_visitor.get(None) is before


def plain(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", HTML)
    return [b"x"]


def itself(file: io.BytesIO, size: int = 8192) -> Iterable[bytes]:
    """A file wrapper as uWSGI's: a function, which remembers the file and gives it back."""
    return file


@pytest.mark.parametrize("twice", [False, True], ids=["one edge", "two edges"])
@pytest.mark.parametrize("wrapper", [FileWrapper, itself, functools.partial(FileWrapper, blksize=2)])
def test_a_file_is_passed_through(site: Site, wrapper: Callable[..., Any], twice: bool) -> None:
    """What `wsgi.file_wrapper` made reaches the server unwrapped, so that it can use sendfile."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", HTML)
        made.append(environ["wsgi.file_wrapper"](io.BytesIO(b"x")))
        return made[0]

    made: list[Iterable[bytes]] = []
    environ = environ_of()
    environ["wsgi.file_wrapper"] = wrapper
    inner = AliasMiddleware(app, tracker=site.tracker) if twice else app
    given = AliasMiddleware(inner, tracker=site.tracker)(environ, lambda *args: lambda chunk: None)
    assert given is made[0]
    assert site.counters()["spooled"] == 1


def test_a_class_of_files_stays_in_the_environ(site: Site) -> None:
    """Servers, gunicorn among them, ask whether the body is an instance of it."""
    environ = environ_of()
    environ["wsgi.file_wrapper"] = FileWrapper
    serve(site, plain, environ)
    assert environ["wsgi.file_wrapper"] is FileWrapper


def test_what_is_no_file_is_watched_beside_one(site: Site) -> None:
    """A body is not taken for the file that the app had the server wrap and did not return."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", HTML)
        environ["wsgi.file_wrapper"](io.BytesIO(b"x"))
        return chunks()

    def chunks() -> Iterator[bytes]:
        yield b"x"
        current_visitor.get().profile["late"] = True

    environ = environ_of()
    environ["wsgi.file_wrapper"] = itself
    assert serve_wsgi(AliasMiddleware(app, tracker=site.tracker), environ).chunks == [b"x"]
    assert site.stored()["preferences"] == {"late": True}


def test_a_body_that_is_a_list_with_a_will_of_its_own_is_watched(site: Site) -> None:
    """A subclass of list may still run code of the app: what that changes is kept."""

    class Lazy(list[bytes]):
        def close(self) -> None:
            current_visitor.get().profile["late"] = True

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", HTML)
        return Lazy([b"x"])

    assert serve(site, app).chunks == [b"x"]
    assert site.stored()["preferences"] == {"late": True}


def test_close_is_called_once_and_recorded(site: Site) -> None:
    """The app's `close` runs once; what it tracks and changes is kept."""
    made: list[Closable] = []

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", HTML)
        made.append(Closable(environ[ENVIRON_KEY], [b"a", b"b"]))
        return made[0]

    assert serve(site, app).chunks == [b"a", b"b"]
    assert made[0].closed == 1
    stored = site.stored()
    assert stored["preferences"] == {"closed": True}
    assert {event["type"] for event in stored["history"]} == {"PageView", "TrackedEvent"}


def test_a_client_that_goes_away_loses_nothing(site: Site) -> None:
    """A server that stops reading calls `close`: everything until then is recorded."""
    before = current_visitor.get(None)

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", HTML)
        visitor = environ[ENVIRON_KEY]
        for number in range(10):
            visitor.profile["reached"] = number
            yield b"x"

    body: Any = AliasMiddleware(app, tracker=site.tracker)(environ_of(), lambda *args: lambda chunk: None)
    assert next(body) == b"x"
    body.close()
    assert site.stored()["preferences"] == {"reached": 0}
    assert site.stored()["knowledge"]["page_views"] == 1
    assert current_visitor.get(None) is before


def test_an_app_that_starts_late(site: Site) -> None:
    """A generator calls `start_response` when it is first asked: it is judged by what it says then."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", HTML)
        yield b"x" if environ[ENVIRON_KEY] else b""

    answer = serve(site, app)
    assert (answer.chunks, answer.all("Vary")) == ([b"x"], [])
    assert site.summary().page_views == 1


def test_changes_are_made_before_the_headers_leave(site: Site) -> None:
    """When the server gets the status, the change is stored already: some send it at once."""
    found: list[object] = []

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ[ENVIRON_KEY].profile["font"] = "large"
        start_response("200 OK", HTML)
        return [b"x"]

    def start(*args: object) -> Callable[[bytes], object]:
        found.append(site.tracker.privacy.export(ALIAS)["preferences"])
        return found.append

    AliasMiddleware(app, tracker=site.tracker)(environ_of(), start)
    assert found == [{"font": "large"}]


def test_write(site: Site) -> None:
    """Before a chunk written the old way is passed on, the page view is in the spool."""
    spooled: list[int] = []

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        write = start_response("200 OK", HTML)
        environ[ENVIRON_KEY].track("written")
        write(b"a")
        write(b"b")
        return [b"c"]

    answer = serve_wsgi(
        AliasMiddleware(app, tracker=site.tracker),
        environ_of(),
        lambda chunk: spooled.append(site.counters()["spooled"]),
    )
    assert (answer.chunks, spooled) == ([b"a", b"b", b"c"], [2, 2, 2])


def test_an_answer_begun_anew(site: Site) -> None:
    """`start_response` with `exc_info` replaces an answer that has not left: the error is what is judged."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", HTML)
        try:
            raise LookupError("oops")
        except LookupError:
            start_response("500 Oops", [*HTML, ("X-Visitor", str(bool(environ[ENVIRON_KEY])))], sys.exc_info())
        return [b"oops"]

    answer = serve(site, app)
    assert (answer.status, answer.all("Vary"), answer.all("X-Visitor")) == (500, ["wap-network-info"], ["True"])
    assert site.summary().page_views == 0


def test_an_answer_that_has_left_cannot_begin_anew(site: Site) -> None:
    """Once a chunk has left, the server raises the app's error; it goes through, and the page view stays."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", HTML)
        yield b"x"
        try:
            raise LookupError("oops")
        except LookupError:
            start_response("500 Oops", HTML, sys.exc_info())

    with pytest.raises(LookupError):
        serve(site, app)
    assert site.summary().page_views == 1


@pytest.mark.parametrize("status", ["OK", "2x0 OK", "²00 OK", ""])
def test_an_odd_status_is_the_servers_business(site: Site, status: str) -> None:
    """What is no status line is passed on for the server to judge; it is no page view."""
    given: list[str] = []

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response(status, HTML)
        return [b"x"]

    AliasMiddleware(app, tracker=site.tracker)(environ_of(), lambda status, headers: given.append(status))  # type: ignore[arg-type]
    assert given == [status]
    assert site.counters()["spooled"] == 0


def test_an_app_that_returns_nothing_leaves_nothing_behind(site: Site) -> None:
    """A body that is none is the app's error: it goes through, and the thread serves the next request clean."""
    before = current_visitor.get(None)

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
        environ[ENVIRON_KEY].profile["font"] = "large"
        return None

    with pytest.raises(TypeError):
        serve(site, app)
    assert current_visitor.get(None) is before
    assert site.stored()["preferences"] == {"font": "large"}


def test_the_app_gets_its_own_environ(site: Site) -> None:
    """The header goes, the visitor comes, everything else in `environ` is as the server made it."""
    environ = environ_of(HTTP_X_OWN="1")
    before = dict(environ)
    seen: list[dict[str, Any]] = []

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        seen.append(dict(environ))
        start_response("200 OK", HTML)
        return [b"x"]

    serve(site, app, environ)
    del before["HTTP_WAP_NETWORK_INFO"]
    assert isinstance(seen[0].pop(ENVIRON_KEY), Visitor)
    assert seen[0] == before


def test_a_path_is_kept_as_text(site: Site) -> None:
    """The path of the mounted app and its own, in UTF-8; what is none is replaced, never an error."""
    for script, path in (("/m", "/\xc3\xa9t\xc3\xa9"), ("", "/\xff"), ("", "/" + "x" * 1000), ("", "/\ud800")):
        environ = environ_of(SCRIPT_NAME=script, PATH_INFO=path)
        site.clock.advance(seconds=1)

        def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            start_response("200 OK", HTML)
            return []

        serve(site, app, environ)
    paths = [event["path"] for event in site.stored()["history"]]
    assert paths == ["/?", "/" + "x" * 511, "/\ufffd", "/m/été"]


def test_threads_keep_their_visitors_apart(site: Site) -> None:
    """Two requests at the same time in two threads see each their own visitor, everywhere."""
    both_in = threading.Barrier(2, timeout=10)
    seen: dict[str, set[str | None]] = {ALIAS: set(), OTHER_ALIAS: set()}

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        visitor = environ[ENVIRON_KEY]
        both_in.wait()
        visitor.profile["mine"] = visitor.alias
        start_response("200 OK", HTML)
        both_in.wait()
        seen[str(visitor.alias)] = {visitor.alias, current_visitor.get().alias, visitor.profile["mine"]}
        yield b"x"

    threads = [threading.Thread(target=serve, args=(site, app, environ_of(alias))) for alias in seen]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert seen == {ALIAS: {ALIAS}, OTHER_ALIAS: {OTHER_ALIAS}}
    assert [site.stored(alias)["preferences"] for alias in seen] == [{"mine": ALIAS}, {"mine": OTHER_ALIAS}]


def test_the_unix_socket(make_site: Callable[..., Site]) -> None:
    """An empty REMOTE_ADDR is a Unix socket, trusted where the settings name it."""
    site = make_site("wsgi", trusted_gateways=["unix"])
    site.handler = lambda visitor, request: (200, HTML, [str(bool(visitor)).encode()])
    assert site.get(peer=None).chunks == [b"True"]
    assert site.get(peer=GATEWAY).chunks == [b"False"]


def test_settings_make_a_tracker() -> None:
    """The middleware takes the tracker's settings itself; wrong ones are refused when the app starts."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return []

    wrapped = AliasMiddleware(app, service="sonneries", storage="memory://", trusted_gateways=[])
    assert wrapped.tracker.settings.service == "sonneries"
    with pytest.raises(ValueError, match="trusted_gateways"):
        AliasMiddleware(app, service="sonneries", storage="memory://")


@pytest.mark.parametrize(
    ("peer", "trusted"),
    [
        pytest.param({"REMOTE_ADDR": ""}, True, id="empty, as most servers have it"),
        pytest.param({"REMOTE_ADDR": "localhost", "REMOTE_PORT": "None"}, True, id="waitress's way"),
        pytest.param({"REMOTE_ADDR": "localhost", "REMOTE_PORT": "4711"}, False, id="a forwarded word over TCP"),
        pytest.param({"REMOTE_ADDR": "localhost"}, False, id="a word without a port"),
        pytest.param({"REMOTE_ADDR": "127.0.0.1", "REMOTE_PORT": "None"}, False, id="an address"),
    ],
)
def test_unix_socket_has_no_address(make_site: Callable[..., Site], peer: dict[str, str], trusted: bool) -> None:
    """Whoever connects to a Unix socket is `"unix"`, however the server writes it; a name over TCP is nobody."""
    site = make_site("wsgi", trusted_gateways=["unix"])
    told: list[str] = []

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        told.append(environ[ENVIRON_KEY].status)
        start_response("200 OK", [])
        return []

    serve(site, app, environ_of(**peer))
    assert told == ["OK" if trusted else "UNTRUSTED"]
