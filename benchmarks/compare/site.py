"""A site that is compared: an app in its framework, its visitors' cookies, and what all ways of it share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from http.cookies import SimpleCookie
from pathlib import Path
from typing import NamedTuple

from posthog import Posthog
from posthog.request import reset_sessions

from alias_middleware import Tracker

VISITORS = 400
"""Fewer than the 500 files beyond which cachelib's folder throws sessions out."""

PATH, SEEN = "/news/sport", "/seen"
PAGE = "<!doctype html><title>Sport</title><p>The news of the day."
SECRET = "a secret of the benchmark"
_FLUSH_SECONDS = 60.0

Answered = Callable[[int, str], object]
"""Learns of each answer: whose it was, and the cookie that he holds now."""


class Surroundings(NamedTuple):
    """What the libraries are pointed at: a folder, a Redis server if there is one, and a server for events."""

    folder: Path
    redis_port: int | None
    events_port: int


class Site:
    """An app in its framework. `cookies`: what each phone holds; `settle` waits for what is under way."""

    def __init__(self, serve: Callable[[str, str, str], tuple[float, str, bytes]], stack: ExitStack) -> None:
        """Serve with `serve(path, alias, cookie)`, which gives seconds, the cookie that was set, and the body."""
        self.cookies: dict[int, str] = {}
        self._serve = serve
        self._stack = stack
        self.settle: Callable[[], object] = lambda: None

    def pages(self, visitors: Iterable[int], answered: Answered = lambda visitor, cookie: None) -> list[float]:
        """Answer visitors in turn; give the seconds of each answer."""
        spent = []
        for visitor in visitors:
            seconds, cookie, _ = self._serve(PATH, alias(visitor), self.cookies.get(visitor, ""))
            if cookie:
                self.cookies[visitor] = cookie
            answered(visitor, self.cookies.get(visitor, ""))
            spent.append(seconds)
        return spent

    def seen(self, visitor: int) -> int:
        """Ask the site how many of a visitor's pages it has kept."""
        _, _, body = self._serve(SEEN, alias(visitor), self.cookies.get(visitor, ""))
        return int(body)

    def ending(self, *last: Callable[[], object]) -> Site:
        """Call these, too, when it is closed: the last of them first."""
        for each in last:
            self._stack.callback(each)
        return self

    def settling(self, settle: Callable[[], object]) -> Site:
        """Wait this way for what is under way."""
        self.settle = settle
        return self

    def close(self) -> None:
        self._stack.close()


def alias(visitor: int) -> str:
    return f"{314_522_927_347 + visitor:012}"


def redis_port_of(around: Surroundings) -> int:
    if around.redis_port is None:
        raise RuntimeError("this way needs a Redis server")
    return around.redis_port


def sending(site: Site, client: Posthog) -> Site:
    """Let a site that sends events end with all of them sent and no connection open."""
    return site.settling(client.flush).ending(reset_sessions, client.shutdown)


def posthog_client(around: Surroundings) -> Posthog:
    return Posthog(f"phc_{around.folder.name}", host=f"http://127.0.0.1:{around.events_port}")


def tracker_of(around: Surroundings) -> Tracker:
    folder = around.folder / "alias"
    folder.mkdir(exist_ok=True)
    url = f"sqlite:///{folder / 'alias.db'}"
    return Tracker(service="sonneries", storage=url, trusted_gateways=["10.12.0.0/16"], raise_errors=True)


def flushed(tracker: Tracker) -> None:
    if not tracker.flush(timeout=_FLUSH_SECONDS):
        raise RuntimeError("the spool could not be drained")


def cookie_of(headers: Iterable[tuple[str, str]]) -> str:
    """Give the session's cookie as a browser sends it back; "" where none was set."""
    for name, value in headers:
        if name.lower() == "set-cookie":
            for cookie, morsel in SimpleCookie(value).items():
                return f"{cookie}={morsel.coded_value}"
    return ""


def headers_of(alias: str, cookie: str) -> Iterator[tuple[str, str]]:
    yield "host", "sonneries.example"
    yield "user-agent", "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Mobile"
    yield "accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"
    yield "accept-language", "fr-FR,fr;q=0.9"
    if cookie:
        yield "cookie", cookie
    yield "wap-network-info", f"mUserAlias:{alias}"
