"""The page in a Flask app, bare and with each library as its documentation sets it up."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from cachelib import FileSystemCache
from flask import Flask, request, session
from flask_session import Session
from redis import Redis

from alias_middleware.flask import Alias, current_visitor
from benchmarks.compare.site import (
    PAGE,
    PATH,
    SECRET,
    SEEN,
    Site,
    Surroundings,
    cookie_of,
    flushed,
    headers_of,
    posthog_client,
    redis_port_of,
    sending,
    tracker_of,
)
from benchmarks.people import GATEWAY

_Header = tuple[str, str]


def _flask(install: Callable[[Flask], None], count: Callable[[], object], seen: Callable[[], int]) -> Site:
    app = Flask(__name__)
    install(app)

    @app.get(PATH)
    def sport() -> str:
        count()
        return PAGE

    @app.get(SEEN)
    def told() -> tuple[str, dict[str, str]]:
        return str(seen()), {"Content-Type": "text/plain"}

    def serve(path: str, alias: str, cookie: str) -> tuple[float, str, bytes]:
        environ, headers = _environ(path, alias, cookie), list[_Header]()

        def start_response(status: str, given: list[_Header], exc_info: object = None) -> Callable[..., Any]:
            if not status.startswith("200"):
                raise RuntimeError(f"the site answers {status}")
            headers.extend(given)
            return bytes

        begun = time.perf_counter()
        answer = app(environ, start_response)
        body = b"".join(answer)
        answer.close()  # type: ignore[attr-defined]
        return time.perf_counter() - begun, cookie_of(headers), body

    return Site(serve, ExitStack())


def _count_in_session() -> None:
    session["seen"] = session.get("seen", 0) + 1


def _seen_in_session() -> int:
    return int(session.get("seen", 0))


def bare_flask(around: Surroundings) -> Site:
    return _flask(lambda app: None, lambda: None, lambda: 0)


def own_session(around: Surroundings) -> Site:
    def install(app: Flask) -> None:
        app.secret_key = SECRET

    return _flask(install, _count_in_session, _seen_in_session)


def files_session(around: Surroundings) -> Site:
    def install(app: Flask) -> None:
        cache = FileSystemCache(str(around.folder / "flask_session"), threshold=500)
        app.config.update(SESSION_TYPE="cachelib", SESSION_SERIALIZATION_FORMAT="json", SESSION_CACHELIB=cache)
        Session(app)

    return _flask(install, _count_in_session, _seen_in_session)


def redis_session(around: Surroundings) -> Site:
    client = Redis(port=redis_port_of(around))

    def install(app: Flask) -> None:
        app.config.update(SESSION_TYPE="redis", SESSION_REDIS=client)
        Session(app)

    return _flask(install, _count_in_session, _seen_in_session).ending(client.close)


def flask_posthog(around: Surroundings) -> Site:
    client = posthog_client(around)

    def count() -> None:
        visitor = request.headers["wap-network-info"].partition(":")[2]
        client.capture("$pageview", distinct_id=visitor, properties={"path": request.path})

    return sending(_flask(lambda app: None, count, lambda: 0), client)


def _flask_alias(around: Surroundings, count: Callable[[], object], seen: Callable[[], int]) -> Site:
    tracker = tracker_of(around)

    def install(app: Flask) -> None:
        Alias(app, tracker=tracker)

    return _flask(install, count, seen).ending(tracker.close).settling(lambda: flushed(tracker))


def flask_pages(around: Surroundings) -> Site:
    def count() -> None:
        current_visitor.profile.get("font")

    return _flask_alias(around, count, lambda: current_visitor.profile.page_views)


def flask_preference(around: Surroundings) -> Site:
    def count() -> None:
        current_visitor.profile.increment("seen")

    return _flask_alias(around, count, lambda: int(current_visitor.profile.get("seen", 0)))


def _environ(path: str, alias: str, cookie: str) -> dict[str, Any]:
    named = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers_of(alias, cookie)}
    return {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "sonneries.example",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": GATEWAY,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        **named,
    }
