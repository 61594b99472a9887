"""A WSGI server and an app that keep to a drawn request and a drawn way to answer."""

from __future__ import annotations

import io
import random
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from alias_middleware import Visitor
from alias_middleware.wsgi import ENVIRON_KEY, AliasMiddleware
from tests.fuzz import deeds
from tests.fuzz.answers import AppError, ServerError, Style
from tests.fuzz.requests import Request
from tests.fuzz.trial import Trial

Start = Callable[..., Callable[[bytes], object]]


class FileWrapper:
    """A server's own way to send a file."""

    def __init__(self, file: io.BytesIO, size: int = 8192) -> None:
        self._file = file

    def __iter__(self) -> Iterator[bytes]:
        return iter(lambda: self._file.read(8192), b"")

    def close(self) -> None:
        self._file.close()


class _Iterator:
    """A body with a `close` of its own, which may fail."""

    def __init__(self, chunks: Iterable[bytes], trial: Trial, fails: bool) -> None:
        self._chunks = iter(chunks)
        self._trial = trial
        self._fails = fails

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._chunks)

    def close(self) -> None:
        self._trial.closed += 1
        if self._fails:
            raise AppError


def environ_of(request: Request, dice: random.Random) -> dict[str, Any]:
    """What a server makes of a request that folds underscores and joins lines, some of it left out."""
    raw = request.path.encode("utf-8", "surrogatepass").decode("latin-1")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": raw,
        "QUERY_STRING": "",
        "wsgi.url_scheme": "https" if request.secure else "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.file_wrapper": FileWrapper,
    }
    if request.peer is not None:
        environ["REMOTE_ADDR"] = request.peer
    for name, value in request.headers:
        key = "HTTP_" + name.decode("latin-1").upper().replace("-", "_")
        joint = "; " if key == "HTTP_COOKIE" else ","
        text = value.decode("latin-1")
        environ[key] = environ[key] + joint + text if key in environ else text
    for key in ("SCRIPT_NAME", "PATH_INFO", "wsgi.url_scheme", "wsgi.file_wrapper"):
        if dice.random() < 0.01:
            del environ[key]
    if dice.random() < 0.01:
        environ["wsgi.file_wrapper"] = lambda file: iter([file.read()])
    return environ


def app_of(style: Style, trial: Trial, dice: random.Random) -> Callable[[dict[str, Any], Start], Iterable[bytes]]:
    """An app that answers in a given way."""

    def app(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
        visitor = environ[ENVIRON_KEY]
        trial.meet(visitor, [(key, str(environ[key])) for key in environ if key.startswith("HTTP_")])
        _step(trial, style, visitor, dice)
        if style.late and style.way in ("generator", "iterator"):
            return _body(style, trial, visitor, dice, lambda: _start(style, trial, start_response))
        write = _start(style, trial, start_response)
        _step(trial, style, visitor, dice)
        match style.way:
            case "write" if write is not None:
                for chunk in style.chunks:
                    trial.sent.append(chunk)
                    write(chunk)
                return []
            case "list" | "tuple":
                trial.sent += style.chunks
                return style.chunks if style.way == "list" else tuple(style.chunks)
            case "file" if "wsgi.file_wrapper" in environ:
                trial.sent += style.chunks
                body: Iterable[bytes] = environ["wsgi.file_wrapper"](io.BytesIO(b"".join(style.chunks)))
                return body
            case "bad iterator":
                return None  # type: ignore[return-value] # as apps do that forget to return
        return _body(style, trial, visitor, dice, lambda: None)

    return app


def _start(style: Style, trial: Trial, start_response: Start) -> Callable[[bytes], object] | None:
    write = None
    for number in range(style.starts):
        headers = list(style.headers)
        trial.headers = headers
        if number == 2:
            try:
                raise AppError
            except AppError:
                write = start_response("500 Said", headers, sys.exc_info())
        else:
            write = start_response(style.line, headers)
    return write


def _body(
    style: Style, trial: Trial, visitor: Visitor, dice: random.Random, begin: Callable[[], object]
) -> Iterable[bytes]:
    def chunks() -> Iterator[bytes]:
        begin()
        for chunk in style.chunks:
            _step(trial, style, visitor, dice)
            trial.sent.append(chunk)
            yield chunk
        _step(trial, style, visitor, dice)

    return _Iterator(chunks(), trial, style.fails_at == 5) if style.way == "iterator" else chunks()


def _step(trial: Trial, style: Style, visitor: Visitor, dice: random.Random) -> None:
    if trial.steps == style.fails_at:
        trial.steps += 1
        raise AppError
    trial.steps += 1
    trial.said += deeds.do(visitor, dice)


def serve(edge: AliasMiddleware, style: Style, trial: Trial, environ: dict[str, Any]) -> None:
    """Serve one request, and judge the app as servers do."""

    def start_response(line: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        if trial.head is not None and exc_info is None:
            raise ServerError
        trial.head = (line, headers)
        return send

    def send(chunk: bytes) -> None:
        if trial.head is None or trial.messages == style.gone_at:
            raise ServerError
        trial.messages += 1
        trial.received.append(chunk)

    body = edge(environ, start_response)
    try:
        for chunk in body:
            send(chunk)
    finally:
        if close := getattr(body, "close", None):
            close()
