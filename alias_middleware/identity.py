"""Who is asking: from request headers and the peer to a `Recognition`, and from an alias to a visitor key.

Pure: no I/O, no clock, nothing remembered. Whom the header is believed from is `trust`'s business, and the
cookie that bridges requests without it is `continuity`'s.
"""

from __future__ import annotations

import hmac
import re
from abc import ABC, abstractmethod
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Sequence
from enum import StrEnum
from itertools import product
from typing import Protocol, TypeAlias

import msgspec

from alias_middleware.discreet import Discreet
from alias_middleware.errors import SettingsError

Pairs: TypeAlias = Iterable[tuple[bytes, bytes]]  # as ASGI has them: lower-case names, raw values, repeats

MAX_BYTES = 256  # of an alias header in one request, over all its lines
MAX_LINES = 4
_NO_FLAGS: frozenset[str] = frozenset()
_TWIN_SEEN = frozenset({"underscore_variant"})
OWS = b" \t"
_BAD_CHAR = re.compile(rb"[^\t\x20-\x7e]")
_ALIAS = re.compile(rb"[0-9]{12}")
_NO_PAIR = (b"", b"")
_USUAL = b"mUserAlias:"
_DIGITS = 12
_USUAL_BYTES = len(_USUAL) + _DIGITS
_MEMBER = re.compile(rb"([A-Za-z][A-Za-z0-9_-]{0,31})[ \t]*:[ \t]*([\x21-\x2b\x2d-\x7e]{0,64})")
_HEADER_NAME = re.compile(r"[A-Za-z0-9]+(-[A-Za-z0-9]+){0,7}")
_KEY_BYTES = 16
_ROTATED = 2
_BETWEEN = "\0"


class Status(StrEnum):
    """What the alias header of one request came to; only OK brings an alias."""

    OK = "OK"
    ABSENT = "ABSENT"
    EMPTY = "EMPTY"
    NO_ALIAS = "NO_ALIAS"
    MALFORMED = "MALFORMED"
    BAD_CHAR = "BAD_CHAR"
    BAD_VALUE = "BAD_VALUE"
    TOO_LONG = "TOO_LONG"
    CONFLICT = "CONFLICT"
    UNTRUSTED = "UNTRUSTED"


_OK = Status.OK


class Recognition(Discreet, msgspec.Struct, frozen=True, gc=False):
    """The answer for one request. ``alias`` is None unless ``status`` is OK; its text stays out of ``repr``.

    ``flags`` say what else was seen: ``duplicate``, ``msisdn_seen``, ``unknown_key``, ``underscore_variant``.
    """

    status: Status
    alias: str | None
    flags: frozenset[str] = _NO_FLAGS

    def __repr__(self) -> str:
        alias = None if self.alias is None else f"<{len(self.alias)} chars>"
        return f"Recognition(status={self.status}, alias={alias}, flags={sorted(self.flags)})"


_ABSENT = Recognition(Status.ABSENT, None)  # ready made: the answer for most requests of most sites


class Gatekeeper(Protocol):
    """Who decides whether a request comes from a gateway: `alias_middleware.trust.Trust`."""

    def admits(self, peer: str | None, pairs: Pairs) -> bool:
        """Whether the headers of a request from ``peer`` are believed."""


class Source(ABC):
    """One request header that carries the alias, and how its value is read.

    ``header`` is the lower-case name, as ``Vary`` has it. ``names`` holds every name to keep from the app: it
    and its twins with underscores, which WSGI servers and bridges fold into the same ``environ`` key.
    """

    header: str
    names: frozenset[bytes]

    def __init__(self, header: str) -> None:
        self.header = header_name(header, setting="source")
        self.names = frozenset(
            "".join(letters).encode() for letters in product(*("-_" if c == "-" else c for c in self.header))
        )
        self._name = self.header.encode()

    @abstractmethod
    def read(self, pairs: Pairs) -> Recognition:
        """Parse the header as if it came from a gateway. Never raises, whatever the bytes."""

    def accepts(self, alias: str) -> bool:
        """Whether a text could be an alias of this source, for one that comes by another way than a header."""
        return 0 < len(alias) <= MAX_BYTES and alias.isascii() and alias.isprintable()

    def recognise(self, pairs: Pairs, peer: str | None, trust: Gatekeeper) -> Recognition:
        """Read the header if ``trust`` admits the request; UNTRUSTED, its value unread, if not.

        ``peer`` is the address of the connection's other end, None or "" for a Unix socket.
        """
        headers = pairs if type(pairs) is list else list(pairs)
        if trust.admits(peer, headers):
            return self.read(headers)
        lines, flags = self._lines(headers)
        return Recognition(Status.UNTRUSTED if lines else Status.ABSENT, None, flags)

    def _lines(self, pairs: Pairs) -> tuple[list[bytes], frozenset[str]]:
        """The header's lines in order, and the flag for its twins, whose values nobody reads."""
        names, own = self.names, self._name
        lines, flags = [], _NO_FLAGS
        for name, value in pairs:
            if name in names:
                if name == own:
                    lines.append(value)
                else:
                    flags = _TWIN_SEEN
        return lines, flags


class WapNetworkInfo(Source):
    """``wap-network-info``, the header of Orange France's Gallery, as the operator's document shows it.

    ``value = [member] *( "," [member] )``, ``member = OWS key OWS ":" OWS val OWS``; keys ignore case and the
    alias is the 12 digits of ``mUserAlias``. A member that does not parse or a bad alias poisons the whole
    header; aliases that differ are a conflict, because gateways differ in where they put their own line.
    """

    def __init__(self) -> None:
        super().__init__("wap-network-info")

    def read(self, pairs: Pairs) -> Recognition:
        name, value = pairs[0] if type(pairs) is list and len(pairs) == 1 else _NO_PAIR
        if name == self._name:
            # What nearly every gateway sends, told in half the time of an expression.
            digits = value.removeprefix(_USUAL)
            if len(digits) == _DIGITS and len(value) == _USUAL_BYTES and digits.isdigit():
                return Recognition(_OK, digits.decode(), _NO_FLAGS)
        lines, flags = self._lines(pairs)
        if not (lines or flags):
            return _ABSENT
        if unreadable := _unreadable(lines):
            return Recognition(unreadable, None, flags)
        return _read_members([member for line in lines for member in _parts(line)], flags)

    def accepts(self, alias: str) -> bool:
        return alias.isascii() and _ALIAS.fullmatch(alias.encode()) is not None


class HeaderAlias(Source):
    """Another operator's header whose whole value is an opaque, static id.

    ``pattern`` is matched against the whole ASCII value; text after it, a final newline included, is refused.
    Where the whole does not match, its comma-separated parts must, and agree: servers join repeated lines.
    A pattern that accepts a comma gives that protection up. Limits are those of `WapNetworkInfo`.
    Raises `SettingsError` for a bad name, or a pattern that is invalid, not ASCII or matches nothing at all.
    """

    def __init__(self, name: str, pattern: str | re.Pattern[str] | re.Pattern[bytes]) -> None:
        super().__init__(name)
        self._pattern = _bytes_pattern(pattern)

    def read(self, pairs: Pairs) -> Recognition:
        lines, flags = self._lines(pairs)
        if unreadable := _unreadable(lines):
            return Recognition(unreadable, None, flags)
        values = [value for line in lines for value in self._values(line)]
        if not all(self._pattern.fullmatch(value) for value in values):
            return Recognition(Status.BAD_VALUE, None, flags)
        return _agreed(values, flags)

    def accepts(self, alias: str) -> bool:
        return alias.isascii() and self._pattern.fullmatch(alias.encode()) is not None

    def _values(self, line: bytes) -> list[bytes]:
        whole = line.strip(OWS)
        return [whole] if self._pattern.fullmatch(whole) else _parts(line)


def visitor_key(alias: str, namespace: str, pseudonym_keys: Sequence[bytes] = ()) -> str:
    """The one key of a visitor in every table: the alias itself or, with ``pseudonym_keys``, a pseudonym.

    The first key makes HMAC-SHA256 over namespace, NUL, alias (no alias holds a NUL); each further key wraps
    the stored result with `rotate_visitor_key`. Half the digest is kept, 128 bits as 22 characters: were all
    10^12 aliases of a namespace in use, any two would share a key with a probability under 2e-15.
    """
    if not pseudonym_keys:
        return alias
    key = f"{namespace}\0{alias}"
    for secret in pseudonym_keys:
        key = rotate_visitor_key(key, secret)
    return key


def rotate_visitor_key(stored: str, new_key: bytes) -> str:
    """The pseudonym after ``new_key`` joins ``pseudonym_keys``, from the stored one: no alias is needed."""
    digest = hmac.digest(new_key, stored.encode(), "sha256")
    return urlsafe_b64encode(digest[:_KEY_BYTES]).decode("ascii").rstrip("=")


def full_key(alias: str, namespace: str, pseudonym_keys: Sequence[bytes] = ()) -> str:
    """How a visitor is named to a storage: his visitor key, and after a rotation his lasting key with it.

    The lasting key is what the first of ``pseudonym_keys`` makes of the alias. No rotation changes it, so what is
    to outlive rows and rotations is kept under hashes of it. No row has it; `stored_part` and `lasting_part` take
    the two apart, NUL (which neither holds) stands between them.
    """
    if len(pseudonym_keys) < _ROTATED:
        return visitor_key(alias, namespace, pseudonym_keys)
    lasting = visitor_key(alias, namespace, pseudonym_keys[:1])
    return joined(rotated(lasting, pseudonym_keys[1:]), lasting)


def rotated(stored: str, new_keys: Sequence[bytes]) -> str:
    """The pseudonym after all of ``new_keys`` joined ``pseudonym_keys``, in their order."""
    for secret in new_keys:
        stored = rotate_visitor_key(stored, secret)
    return stored


def joined(stored: str, lasting: str) -> str:
    """Name a visitor by both his keys."""
    return stored if stored == lasting else f"{stored}{_BETWEEN}{lasting}"


def stored_part(key: str) -> str:
    """The visitor key that rows have, of however a visitor is named."""
    return key.partition(_BETWEEN)[0] if _BETWEEN in key else key


def lasting_part(key: str) -> str:
    """The key that no rotation changes, of however a visitor is named; where none came along, the visitor key."""
    return key.rpartition(_BETWEEN)[2]


def check_value(namespace: str, pseudonym_keys: Sequence[bytes]) -> str:
    """What tells one list of ``pseudonym_keys`` from another: the pseudonym of nobody.

    It rotates as every pseudonym does; without keys it is empty.
    """
    return visitor_key("", namespace, pseudonym_keys)


def keyed_hash(secret: bytes, purpose: str, namespace: str, key: str) -> bytes:
    """What survives an erasure: 32 bytes, HMAC-SHA256 over the three texts, each after its length."""
    return keyed_hashes(secret, purpose, namespace, [key])[0]


def keyed_hashes(secret: bytes, purpose: str, namespace: str, keys: Iterable[str]) -> list[bytes]:
    """The same of many visitors, in half the time."""
    digest = hmac.digest
    begin = b"".join([len(text).to_bytes(4) + text for text in (purpose.encode(), namespace.encode())])
    return [digest(secret, begin + len(text).to_bytes(4) + text, "sha256") for text in map(str.encode, keys)]


def _unreadable(lines: list[bytes]) -> Status | None:
    """Why these lines cannot be parsed at all, worst first; None if they can."""
    if not lines:
        return Status.ABSENT
    if len(lines) > MAX_LINES or sum(map(len, lines)) > MAX_BYTES:
        return Status.TOO_LONG
    if any(_BAD_CHAR.search(line) for line in lines):
        return Status.BAD_CHAR
    return None if any(map(_parts, lines)) else Status.EMPTY


def _parts(line: bytes) -> list[bytes]:
    """The members of a comma-separated list; blank ones are ignored (RFC 9110, section 5.6.1)."""
    return [part for raw in line.split(b",") if (part := raw.strip(OWS))]


def _read_members(members: list[bytes], flags: frozenset[str]) -> Recognition:
    """Judge the members of a `WapNetworkInfo` value; ``flags`` hold for every outcome."""
    aliases, seen = [], set()
    for member in members:
        match = _MEMBER.fullmatch(member)
        if match is None:
            return Recognition(Status.MALFORMED, None, flags)
        key, value = match[1].lower(), match[2]
        if key == b"museralias":
            aliases.append(value)
        else:
            seen.add("msisdn_seen" if key == b"musermsisdn" else "unknown_key")
    if not all(map(_ALIAS.fullmatch, aliases)):
        return Recognition(Status.BAD_VALUE, None, flags)
    return _agreed(aliases, flags | seen)


def _agreed(values: list[bytes], flags: frozenset[str]) -> Recognition:
    """One alias if all ``values`` are equal; neither the first nor the last wins if they are not."""
    if not values:
        return Recognition(Status.NO_ALIAS, None, flags)
    if len(set(values)) > 1:
        return Recognition(Status.CONFLICT, None, flags)
    repeated = {"duplicate"} if len(values) > 1 else set()
    return Recognition(Status.OK, values[0].decode("ascii"), flags | repeated)


def header_name(name: str, *, setting: str) -> str:
    """The lower-case form of a header name; a `SettingsError` naming ``setting`` if servers would mangle it."""
    if not _HEADER_NAME.fullmatch(name):
        raise SettingsError(
            f"{name!r} is not a usable header name: up to 8 words of ASCII letters or digits, dashes between "
            "(servers drop names with an underscore, or take it for the dash)",
            setting=setting,
        )
    return name.lower()


def _bytes_pattern(pattern: str | re.Pattern[str] | re.Pattern[bytes]) -> re.Pattern[bytes]:
    flags = pattern.flags & ~re.UNICODE if isinstance(pattern, re.Pattern) else 0
    text = pattern.pattern if isinstance(pattern, re.Pattern) else pattern
    try:
        compiled = re.compile(text.encode("ascii") if isinstance(text, str) else text, flags)
    except (re.error, UnicodeEncodeError, OverflowError, RecursionError, TypeError) as error:
        raise SettingsError(f"{text!r} is no pattern for ASCII bytes: {error}", setting="source") from error
    if compiled.fullmatch(b""):
        raise SettingsError(f"{text!r} accepts an empty value, which names nobody", setting="source")
    return compiled
