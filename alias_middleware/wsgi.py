"""The WSGI edge: translates `environ` and the answer for the tracker; decides nothing.

Whatever the app tracks is safe before the chunk that follows it is passed on, and at `close()` at the latest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextvars import Token
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from alias_middleware.discreet import Discreet
from alias_middleware.exchange import Exchange, Request
from alias_middleware.tracker import Tracker, chosen
from alias_middleware.visitor import Visitor, make_current, restore_current

if TYPE_CHECKING:
    from _typeshed import OptExcInfo
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

ENVIRON_KEY = "alias_middleware.visitor"
"""Where the app finds its visitor in `environ`."""

_WRAPPER_KEY = "wsgi.file_wrapper"


class AliasMiddleware:
    """Gives a WSGI application login-free visitors: `application = AliasMiddleware(application, ...)`."""

    def __init__(self, app: WSGIApplication, *, tracker: Tracker | None = None, **settings: Any) -> None:
        """Wrap `app` with a tracker, or with one made of the settings.

        Raises:
            SettingsError: a setting is missing or wrong.
        """
        self.app = app
        self.tracker = chosen(tracker, settings)
        named = {_environ_key(name): name for name in sorted(self.tracker.watched, reverse=True)}
        self._watched = tuple(named.items())
        self._hidden = {_environ_key(name) for name in self.tracker.hidden}

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        exchange = self.tracker.exchange(self._request(environ))
        for key in self._hidden:
            environ.pop(key, None)
        wrapper = environ.get(_WRAPPER_KEY)
        if wrapper is not None and not isinstance(wrapper, _OF_KNOWN_FILES):
            environ[_WRAPPER_KEY] = _FileWrapper(wrapper)
        visitor = environ[ENVIRON_KEY] = exchange.visitor
        answer = _Answer(exchange, environ, start_response, make_current(visitor))
        try:
            return answer.pass_on(self.app(environ, answer.start_response))
        except BaseException:
            answer.failed()
            answer.finish()
            raise

    def _request(self, environ: WSGIEnvironment) -> Request:
        path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        noticed = []
        for key, name in self._watched:
            if key in environ:
                noticed.append((name, _raw(environ[key])))
        peer = environ.get("REMOTE_ADDR")
        return Request(
            noticed,
            peer if peer != "localhost" else _local_peer(environ),
            environ.get("REQUEST_METHOD", "GET"),
            path if path.isascii() else _raw(path).decode("utf-8", "replace"),
            environ.get("wsgi.url_scheme") == "https",
        )


class _FileWrapper(msgspec.Struct, eq=False):
    """A server's `wsgi.file_wrapper` that is no class, as uWSGI's, and what it `made` last.

    A class needs none: what it made can be told, and servers ask whether a body is an instance of what is in
    `environ`.
    """

    _wrap: Callable[..., Iterable[bytes]]
    made: Iterable[bytes] | None = None

    def __call__(self, *arguments: Any) -> Iterable[bytes]:
        made = self.made = self._wrap(*arguments)
        return made


_OF_KNOWN_FILES = (type, _FileWrapper)


class _Answer(Discreet, msgspec.Struct, eq=False):
    """One answer on its way to the server, and its body, chunk by chunk."""

    _exchange: Exchange
    _environ: dict[str, Any]
    _server_start: StartResponse
    _token: Token[Visitor] | None
    _server_write: Callable[[bytes], object] | None = None
    _started: tuple[int, str] | None = None
    _judged: bool = False
    _body: Iterable[bytes] = ()
    _chunks: Iterator[bytes] = iter(())

    def __repr__(self) -> str:  # reporters of errors show the locals of every frame
        return f"<Answer to {self._exchange!r}>"

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: OptExcInfo | None = None
    ) -> Callable[[bytes], object]:
        """Commit what the app changed, say what the answer depends on, and pass it on."""
        content_type = vary = cache_control = ""
        for name, value in headers:
            match name.lower():
                case "content-type":
                    content_type = value
                case "vary":
                    vary = f"{vary}, {value}" if vary else value
                case "cache-control":
                    cache_control = f"{cache_control}, {value}" if cache_control else value
        self._started = _code(status), content_type
        exchange = self._exchange
        if exchange.recognised and exchange.has_work():
            exchange.commit()
        added = exchange.answer_headers(vary, cache_control)
        if added is not None:
            if vary and added.vary:
                headers = [header for header in headers if header[0].lower() != "vary"]
            headers = [*headers, *added.text]
        error = (exc_info,) if exc_info else ()
        self._server_write = self._server_start(status, headers, *error)
        return self._write

    def _write(self, chunk: bytes) -> None:
        """Record, then write as the server would have the app do."""
        self._record()
        if self._server_write is not None:
            self._server_write(chunk)

    def pass_on(self, body: Iterable[bytes]) -> Iterable[bytes]:
        """Give the body to the server: as it is when no code of the app runs any more, else watched."""
        if self._started is not None and (type(body) in (list, tuple) or self._is_file(body)):
            self.finish()
            return body
        self._body = body
        self._chunks = iter(body)
        return self

    def _is_file(self, body: Iterable[bytes]) -> bool:
        """Tell whether the server's own wrapper made the body, which it may send by other ways than Python's."""
        wrapper = self._environ.get(_WRAPPER_KEY)
        if isinstance(wrapper, _FileWrapper):
            return body is wrapper.made
        return isinstance(wrapper, type) and isinstance(body, wrapper)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            chunk = next(self._chunks)
        except StopIteration:
            raise
        except BaseException:
            self.failed()
            raise
        self._record()
        return chunk

    def failed(self) -> None:
        """Take note that the app failed: what it had begun but nothing was passed on of is no answer."""
        self._judged = True

    def close(self) -> None:
        """Close the app's body, then record what it tracked to the end."""
        try:
            if (close := getattr(self._body, "close", None)) is not None:
                close()
        finally:
            self.finish()

    def _record(self) -> None:
        """Put the page view and all that was tracked in the spool before anything more is passed on."""
        exchange = self._exchange
        if not self._judged and self._started is not None:
            self._judged = True
            exchange.started(*self._started, self._environ.get("HTTP_ACCEPT", ""))
        if exchange.recognised and exchange.has_work():
            exchange.commit()

    def finish(self) -> None:
        """Record what is left when the answer has ended, however it ended."""
        try:
            if not self._judged or self._exchange.has_work():
                self._record()
        finally:
            token, self._token = self._token, None
            if token is not None:
                try:  # noqa: SIM105 - `suppress` is slow
                    restore_current(token)
                except ValueError:  # closed in another context than it was called in
                    pass


@lru_cache  # an app answers with few statuses, each many times
def _code(status: str) -> int:
    """The number in a status line; 0 in one that the server will have to judge."""
    return int(status[:3]) if status[:3].isdecimal() else 0


def _local_peer(environ: WSGIEnvironment) -> str | None:
    """None where "localhost" stands for a Unix socket: on most servers REMOTE_ADDR is empty or missing there.

    Waitress has "localhost" without a port. No TCP connection is without one, whatever X-Forwarded-For says.
    """
    return None if environ.get("REMOTE_PORT") == "None" else "localhost"


def _environ_key(name: bytes) -> str:
    return "HTTP_" + name.decode("ascii").upper().replace("-", "_")


def _raw(text: str) -> bytes:
    """The bytes behind a WSGI string; what is no latin-1 cannot have come over the wire and stays unusable."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")
