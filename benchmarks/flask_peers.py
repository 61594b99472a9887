"""The Flask contenders: one app, plain, with Flask's own session, and with the extension."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask, session

from alias_middleware.flask import Alias, current_visitor
from alias_middleware.tracker import Tracker
from benchmarks.people import GATEWAY
from benchmarks.rounds import Contender

_PAGE = "<!doctype html><title>Sport</title><p>The news of the day."


def plain() -> Flask:
    app = Flask(__name__)

    @app.get("/news/sport")
    def sport() -> str:
        return _PAGE

    return app


def using_a_session() -> Flask:
    app = Flask(__name__)
    app.secret_key = "a secret of the benchmark"

    @app.get("/news/sport")
    def sport() -> str:
        session["seen"] = session.get("seen", 0) + 1
        return _PAGE

    return app


def reading_a_profile(tracker: Tracker) -> Flask:
    app = Flask(__name__)
    Alias(app, tracker=tracker)

    @app.get("/news/sport")
    def sport() -> str:
        current_visitor.profile.get("font")
        return _PAGE

    return app


def contender(app: Flask, who: Callable[[int], Iterable[str]]) -> Contender:
    """Serve requests of the visitors that `who` picks."""
    return lambda requests: _serve(app, who(requests))


def _serve(app: Flask, aliases: Iterable[str]) -> list[float]:
    cookie = _session_cookie()
    spent = []
    for alias in aliases:
        environ = _environ(alias, cookie)
        begun = time.perf_counter()
        body = app(environ, _start_response)
        for _ in body:
            pass
        close = getattr(body, "close", None)
        if close is not None:
            close()
        spent.append(time.perf_counter() - begun)
    return spent


def _start_response(status: str, headers: object, exc_info: object = None) -> Callable[[bytes], object]:
    return bytes


def _session_cookie() -> str:
    """What Flask gave the visitor with his previous page."""
    app = using_a_session()
    serializer = app.session_interface.get_signing_serializer(app)  # type: ignore[attr-defined]
    return f"session={serializer.dumps({'font': 'large', 'seen': 7})}"


def _environ(alias: str, cookie: str) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/news/sport",
        "QUERY_STRING": "",
        "SERVER_NAME": "sonneries.example",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": GATEWAY,
        "HTTP_HOST": "sonneries.example",
        "HTTP_USER_AGENT": "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Mobile",
        "HTTP_ACCEPT": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8",
        "HTTP_ACCEPT_LANGUAGE": "fr-FR,fr;q=0.9",
        "HTTP_ACCEPT_ENCODING": "gzip",
        "HTTP_COOKIE": cookie,
        "HTTP_WAP_NETWORK_INFO": f"mUserAlias:{alias}",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
