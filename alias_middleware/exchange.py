"""One request between an edge and the tracker: recognised at its beginning, judged when its answer starts.

An edge tells what it sees in plain values; what follows from it is decided here, once for WSGI and ASGI.
Nothing here raises: an error of ours is reported to the keeper and the site goes on.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Protocol

import msgspec

from alias_middleware.continuity import COOKIE, Continuity
from alias_middleware.discreet import Discreet
from alias_middleware.events import is_page_view, is_prefetch, names_page
from alias_middleware.keeper import Keeper
from alias_middleware.visitor import Visitor

PURPOSE_HEADERS = frozenset({b"sec-purpose", b"purpose", b"x-purpose", b"x-moz"})
"""The headers by which a browser says that it only prefetches."""

SIGNAL_HEADERS = frozenset({b"sec-gpc", b"dnt"})
"""The headers by which a browser asks for privacy (Global Privacy Control; Tracking Preference Expression)."""

_REISSUE_AFTER_US = 24 * 3600 * 1_000_000

Pair = tuple[bytes, bytes]


class Host(Keeper, Protocol):
    """What an exchange asks of the recorder besides what a visitor does."""

    def unidentified(self, time_us: int) -> None:
        """Count a page view without an alias, in a request begun at `time_us`."""


class Added(msgspec.Struct, frozen=True):
    """Headers to add to an answer: as WSGI has them, and the same as ASGI has them.

    `vary`: one of them is a Vary, which says what the answer's own says, too, and takes its place.
    """

    text: tuple[tuple[str, str], ...]
    raw: list[Pair]
    vary: bool


class Rules(msgspec.Struct, frozen=True):
    """What the settings say about answers. `vary`: the request headers that a personal answer depends on."""

    page_types: frozenset[str]
    excluded: re.Pattern[str] | None
    vary: tuple[str, ...]
    continuity: Continuity | None
    usual: Added


class Request(Discreet, msgspec.Struct, frozen=True, gc=False):
    """What an edge knows when a request arrives.

    `noticed`: the request's headers among those the tracker watches, names in lower case. `peer`: the
    address of the connection's other end, None or "" for a Unix socket. `path`: without the query string.
    """

    noticed: list[Pair]
    peer: str | None
    method: str
    path: str
    secure: bool

    def __repr__(self) -> str:  # reporters of errors show the locals of every frame
        return f"<Request {self.method}, {len(self.noticed)} headers noticed>"


class Exchange(Discreet, msgspec.Struct, eq=False):
    """A request and its answer, on its way through an edge.

    `_cookie_at_us`: the header time of a continuity cookie that names the visitor. A struct, as all that every
    request makes: one is made in a third of the time that an `__init__` in Python takes.
    """

    _host: Host
    _rules: Rules
    _request: Request
    visitor: Visitor
    recognised: bool
    _cookie_at_us: int | None = None

    def __repr__(self) -> str:  # reporters of errors show the locals of every frame
        return f"<Exchange of {self._request!r}>"

    def started(self, status: int, content_type: str, accept: str) -> None:
        """Record the page view, if the answer that starts now is one. `accept`: the request's, asked for a 304."""
        request, visitor = self._request, self.visitor
        rules = self._rules
        try:
            named = status == 304 and (visitor.annotation is not None or names_page(accept, rules.page_types))
            if (
                is_page_view(request.method, status, content_type, rules.page_types, named)
                and not (len(request.noticed) > self.recognised and _says_prefetch(request.noticed))
                and (rules.excluded is None or not rules.excluded.match(request.path))
            ):
                if self.recognised:
                    visitor.show(request.path)
                else:
                    self._host.unidentified(visitor.begun_us)
        except Exception as error:
            self._host.problem(error)

    def load(self) -> None:
        """Read the visitor's profile now, from a place where waiting does no harm."""
        try:
            self.visitor.load()
        except Exception as error:
            self._host.problem(error)

    def has_work(self) -> bool:
        """Tell whether `commit` would take time; mostly it is asked in vain, three times a request."""
        visitor = self.visitor
        if (draft := visitor.draft) is None or draft.edits is None:
            return visitor.unsynced
        try:
            return visitor.has_work()
        except Exception as error:
            self._host.problem(error)
            return False

    def commit(self) -> None:
        """Commit what the app changed, so that the next request sees it wherever it is served."""
        try:
            self.visitor.commit()
        except Exception as error:
            self._host.problem(error)

    def answer_headers(self, vary: str, cache_control: str) -> Added | None:
        """Give the headers to add to the answer, given two of its own; None where nothing is to be said.

        A personal answer says what it depends on, and is private unless the app set its own Cache-Control. No
        cookie goes with an answer that the app lets shared caches keep: they would hand it to everybody.
        """
        rules = self._rules
        if rules.continuity is None and not vary and not cache_control:
            return rules.usual if self.visitor.touched else None
        if rules.continuity is not None and not _is_shareable(cache_control):
            try:
                cookie = self._continuity_cookie()
            except Exception as error:
                self._host.problem(error)
            else:
                if cookie is not None:
                    return _added((("Set-Cookie", cookie), *personal(vary, cache_control, rules.vary).text))
        return personal(vary, cache_control, rules.vary) if self.visitor.touched else None

    def _continuity_cookie(self) -> str | None:
        """A fresh cookie when the header named the visitor and the one he has is missing, old or another's."""
        continuity, alias = self._rules.continuity, self.visitor.recognition.alias
        draft = self.visitor.draft
        if continuity is None or alias is None or self.visitor.by_continuity:
            return None
        if (bridge := self.visitor.bridge) is not None and bridge.awaits:
            return None
        if draft is not None and draft.restraint is not None:
            return None
        now = self.visitor.begun_us  # when the header came: a cookie must not outlive an erasure made since
        if self._cookie_at_us is not None and now - self._cookie_at_us < _REISSUE_AFTER_US:
            return None
        return continuity.set_cookie(continuity.issue(alias, now), self._request.secure)


def _added(text: tuple[tuple[str, str], ...]) -> Added:
    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in text]
    return Added(text, raw, any(name == "Vary" for name, _ in text))


@lru_cache  # nearly every personal answer of a site gets the same
def personal(vary: str, cache_control: str, names: tuple[str, ...]) -> Added:
    """What a personal answer says besides what it says already: the request headers it depends on, and private."""
    named = {name.strip().lower() for name in vary.split(",")}
    missing = [name for name in names if name not in named]
    depends = () if not missing or "*" in named else (("Vary", ", ".join([vary, *missing] if vary else missing)),)
    return _added(depends if cache_control else (*depends, ("Cache-Control", "private")))


def _says_prefetch(noticed: list[Pair]) -> bool:
    said = [value for name, value in noticed if name in PURPOSE_HEADERS]
    return any(map(is_prefetch, said)) if said else False


def asks_for_privacy(noticed: list[Pair]) -> bool:
    """Tell whether a browser sends `Sec-GPC: 1` or `DNT: 1`."""
    said = [value for name, value in noticed if name in SIGNAL_HEADERS]
    return any(part.strip() == b"1" for value in said for part in value.split(b","))


def _is_shareable(cache_control: str) -> bool:
    """Tell whether a Cache-Control lets a shared cache keep the answer (RFC 9111, section 3)."""
    said = cache_control.lower()
    kept = "public" in said or "max-age" in said or "s-maxage" in said
    return kept and "private" not in said and "no-store" not in said


def presented_cookie(noticed: list[Pair]) -> str | None:
    """Give the value of the continuity cookie that a request presents, None without one or with several."""
    header = "; ".join(value.decode("latin-1") for name, value in noticed if name == b"cookie")
    return Continuity.find(header) if COOKIE in header else None
