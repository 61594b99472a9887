"""One line of an access log: who asked for what, and what became of it.

Two kinds: Apache's and nginx's combined format, described as Apache's LogFormat does, and JSON lines.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

import msgspec

from alias_middleware.errors import SettingsError
from alias_middleware.local_time import to_micros

COMBINED = '%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i" "%{wap-network-info}i"'
"""The format that is read where none is said: combined, and behind it the operator's header."""

BOTS = re.compile(
    rb"bot\b|bot[/;_-]|crawl|spider|slurp|preview|monitor|curl/|wget/|python-|headless", re.IGNORECASE
)
"""User agents that are no phone in somebody's hand."""

ASSETS = re.compile(
    r"\.(?:css|js|mjs|map|json|xml|txt|ico|png|jpe?g|gif|webp|avif|svg|wbmp|woff2?|ttf|otf|eot|mp[34]|m4a|mid|amr|"
    r"3gp|ogg|wav|webm|zip|gz|pdf|jar|jad|apk|webmanifest)$",
    re.IGNORECASE,
)
"""Paths that are no page where the log names no content type."""

_MONTHS = {name: number for number, name in enumerate(
    (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"), 1
)}  # fmt: skip
_DIRECTIVE = re.compile(r"%(?:[!,0-9<>]*)(?:\{([^}]+)\})?([A-Za-z])")
_ESCAPE = re.compile(rb"\\(?:x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_QUOTED = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"b": b"\b", b"v": b"\v"}
_EARLIEST_YEAR, _LATEST_YEAR = 1970, 9999
_LATEST_SECOND = 253_000_000_000
_TIMES_REMEMBERED = 4096
_JSON_NAMES = {
    "time": ("time", "time_iso8601", "timestamp", "@timestamp", "msec"),
    "method": ("method", "request_method"),
    "target": ("path", "uri", "request_uri", "url"),
    "status": ("status",),
    "peer": ("remote_addr", "peer", "client_ip", "remote_host"),
    "agent": ("user_agent", "http_user_agent"),
    "type": ("content_type", "sent_http_content_type"),
}


class Hit(NamedTuple):
    """What a line says. `type`: the content type, None where the log names none; `alias`: the raw header."""

    time_us: int
    peer: str
    method: bytes
    target: bytes
    status: int
    agent: bytes
    type: str | None
    alias: bytes

    def __repr__(self) -> str:  # it has the alias
        return f"<Hit at {self.time_us}>"


Parser = Callable[[bytes], Hit | None]
"""Gives what a line says, None for one that is no line of this format. It never raises."""


class Times:
    """Reads the times of logs, and remembers those it has just read."""

    def __init__(self) -> None:
        self._known: dict[bytes, int | None] = {}

    def clf(self, text: bytes) -> int | None:
        """Read 02/Mar/2026:12:00:00 +0100 as microseconds since the epoch; None where it is no time."""
        known = self._known.get(text)
        if known is not None:
            return known
        if len(self._known) >= _TIMES_REMEMBERED:
            self._known.clear()
        moment_us = self._known[text] = _read_clf(text)
        return moment_us


def _read_clf(text: bytes) -> int | None:
    try:
        sign = {43: 1, 45: -1}[text[21]]
        offset = timedelta(hours=int(text[22:24]), minutes=int(text[24:26]))
        day = int(text[7:11]), _MONTHS[text[3:6]], int(text[:2])
        moment = datetime(*day, int(text[12:14]), int(text[15:17]), int(text[18:20]), tzinfo=UTC)
        usable = len(text) == 26 and _EARLIEST_YEAR < moment.year < _LATEST_YEAR
        return to_micros(moment - sign * offset) if usable else None
    except (KeyError, ValueError, IndexError, OverflowError):
        return None


def combined(form: str = COMBINED, *, alias_field: str = "%{wap-network-info}i") -> Parser:
    """Make a parser for a LogFormat; `alias_field` is the directive that holds the operator's header.

    Raises:
        SettingsError: the format lacks what is needed, or cannot be read.
    """
    pattern, groups = _pattern_of(form)
    needed = {"time": "%t", "request": '"%r"', "status": "%>s", "peer": "%h", "alias": alias_field}
    names = {"t": "time", "r": "request", "s": "status", "h": "peer", "a": "peer", alias_field: "alias",
             "%{User-Agent}i": "agent", "%{Content-Type}o": "type"}  # fmt: skip
    places = {names[group]: place for place, group in enumerate(groups, 1) if group in names}
    for name, directive in needed.items():
        if name not in places:
            raise SettingsError(f"the log's format has no {directive}", setting="format")
    match, read_time = re.compile(pattern).match, Times().clf
    time, request, status, peer, alias = (places[name] for name in needed)
    agent, kind = places.get("agent", 0), places.get("type", 0)

    def parse(line: bytes) -> Hit | None:
        found = match(line)
        moment_us = read_time(found[time]) if found else None
        parts: list[bytes] = found[request].split(b" ") if found else []
        if found is None or moment_us is None or len(parts) < 2:
            return None
        raw = found[alias]
        return Hit(
            moment_us,
            found[peer].decode("latin-1"),
            parts[0],
            plain(parts[1]),
            int(found[status]),
            plain(found[agent]) if agent else b"",
            found[kind].decode("latin-1") if kind else None,
            b"" if raw == b"-" else plain(raw),
        )

    return parse


def _pattern_of(form: str) -> tuple[bytes, list[str]]:
    """Give the regular expression of a LogFormat, and what each of its groups holds."""
    pattern, groups, end = b"", [], 0
    for directive in _DIRECTIVE.finditer(form):
        literal = form[end : directive.start()]
        pattern += re.escape(literal.encode())
        quoted = literal.endswith('"') and form[directive.end() :].startswith('"')
        argument, letter = directive[1], directive[2]
        if letter == "t":
            pattern += rb"\[([^\]]{0,32})\]"
        elif letter == "s":
            pattern += rb"(\d{3})"
        else:
            pattern += rb'((?:[^"\\]|\\.)*+)' if quoted else rb"(\S*+)"
        groups.append(f"%{{{argument}}}{letter}" if argument else letter)
        end = directive.end()
    if not groups:
        raise SettingsError('describe the lines as in LogFormat, as "%h %l %u %t ..."', setting="format")
    return pattern + re.escape(form[end:].encode()) + rb"\s*$", groups


def plain(text: bytes) -> bytes:
    """Undo the escapes that servers write for quotes, backslashes and control characters."""
    return text if b"\\" not in text else _ESCAPE.sub(_unescaped, text)


def _unescaped(escape: re.Match[bytes]) -> bytes:
    return bytes([int(escape[1], 16)]) if escape[1] else _QUOTED.get(escape[2], escape[2])


def json_lines(*, alias_field: str) -> Parser:
    """Make a parser for JSON lines with the names that servers use; `alias_field` names the operator's header."""
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    twin = f"http_{alias_field.replace('-', '_')}"

    def parse(line: bytes) -> Hit | None:
        try:
            said = decode(line)
            moment_us = _json_time(_first(said, "time"))
            method, target, peer = (str(_first(said, name) or "") for name in ("method", "target", "peer"))
            if not (method and target):  # nginx's $request
                method, target, *_ = [*str(said.get("request", "")).split(" "), "", ""]
            kind, alias = _first(said, "type"), said.get(alias_field) or said.get(twin) or ""
            agent = str(_first(said, "agent") or "").encode("utf-8", "replace")
            hit = Hit(
                moment_us, peer, method.encode("utf-8", "replace"), target.encode("utf-8", "replace"),
                int(_first(said, "status")), agent, None if kind is None else str(kind), _header(alias),
            )  # fmt: skip
        except (msgspec.DecodeError, ValueError, TypeError, OverflowError, RecursionError):
            return None
        return hit if method and target else None

    return parse


def _first(said: Mapping[str, Any], what: str) -> Any:
    return next((said[name] for name in _JSON_NAMES[what] if name in said), None)


def _header(value: object) -> bytes:
    text = str(value)
    return b"" if text == "-" else text.encode("latin-1", "replace")


def _json_time(value: object) -> int:
    if isinstance(value, str) and not value.replace(".", "", 1).isdigit():
        moment = datetime.fromisoformat(value)
        seconds = moment.timestamp() if moment.tzinfo is not None else 0.0
    else:
        seconds = float(str(value))
    if not 0 < seconds < _LATEST_SECOND:
        raise ValueError("no time of a log")
    return round(seconds * 1_000_000)


def path_of(target: bytes) -> str:
    """Give the path as the app saw it: without scheme, host and query, percent-decoded."""
    path = target.partition(b"?")[0].partition(b"#")[0]
    if b"://" in path[:12]:
        path = b"/" + path.partition(b"://")[2].partition(b"/")[2]
    return (unquote_to_bytes(path) if b"%" in path else path).decode("utf-8", "replace")
