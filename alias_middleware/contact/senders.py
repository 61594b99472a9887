"""Kinds of message, the senders that may carry each, and what a short code stands for.

Marketing comes from 36xxx, transactional from 38xxx, either from an alphanumeric sender (S2); any other short code
carries the kinds that the settings declare for it. A reply comes from the short code that was written to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final, Literal, get_args

import msgspec

from alias_middleware.contact.keywords import first_word, is_command
from alias_middleware.contact.offers import OFFERS
from alias_middleware.errors import ContactError, SettingsError

Kind = Literal["marketing", "transactional", "reply"]
KINDS: Final[frozenset[str]] = frozenset(get_args(Kind))

_NO_KINDS: Final[frozenset[Kind]] = frozenset()
_DIGITS: Final = re.compile(r"[0-9]+")
_OPERATORS: Final = re.compile(r"3([68])[0-9]{3}")
_OPERATORS_KIND: Final[Mapping[str, Kind]] = {"6": "marketing", "8": "transactional"}
_ALPHANUMERIC: Final = re.compile(r"[A-Za-z0-9]{1,11}")


def is_short_code(sender: str) -> bool:
    """Whether a sender is a number; a letter anywhere makes it alphanumeric."""
    return _DIGITS.fullmatch(sender) is not None


def is_alphanumeric(sender: str) -> bool:
    """Whether a sender is 1 to 11 ASCII letters and digits, a letter among them."""
    return _ALPHANUMERIC.fullmatch(sender) is not None and not is_short_code(sender)


def operators_kind(short_code: str) -> Kind | None:
    """Give the one kind that the operators' numbering lets a short code carry; None outside 36xxx and 38xxx."""
    numbered = _OPERATORS.fullmatch(short_code)
    return _OPERATORS_KIND[numbered[1]] if numbered else None


SenderProblem = Literal["bad_sender", "wrong_sender", "undeclared_sender"]


@lru_cache(maxsize=256)  # a campaign asks for every visitor
def sender_problem(sender: str, kind: Kind, declared: frozenset[Kind] = _NO_KINDS) -> SenderProblem | None:
    """Say why a sender cannot carry a kind of message, None when it can.

    ``declared`` are the kinds that the settings declare for a short code that is neither 36xxx nor 38xxx. A reply
    is not judged here: it depends on the message it answers.
    """
    if not is_short_code(sender):
        return None if is_alphanumeric(sender) else "bad_sender"
    fixed = operators_kind(sender)
    if fixed is not None:
        return None if kind == fixed else "wrong_sender"
    if not declared:
        return "undeclared_sender"
    return None if kind in declared else "wrong_sender"


def check_kind(kind: str) -> None:
    """Check that a text names a kind of message.

    Raises:
        ContactError: it does not; the message lists the kinds.
    """
    if kind not in KINDS:
        raise ContactError(f"one of {', '.join(sorted(KINDS))}; found: {kind!r}", field="kind")


class ShortCode(msgspec.Struct, frozen=True, kw_only=True):
    """What a short code, or one first keyword on it, stands for.

    ``offer`` is None where messages are counted for ``service`` and open no window. ``kinds`` are those that the
    code carries as a sender; 36xxx and 38xxx need none.

    Raises:
        SettingsError: the offer or a kind is unknown, or the service is unnamed.
    """

    service: str
    offer: str | None = None
    kinds: frozenset[Kind] = _NO_KINDS

    def __post_init__(self) -> None:
        if not isinstance(self.service, str) or not self.service:
            raise SettingsError("a ShortCode names its service", setting="short_codes")
        if self.offer is not None and self.offer not in OFFERS:
            raise SettingsError(
                f"an offer is one of {', '.join(OFFERS)}; found: {self.offer!r}", setting="short_codes"
            )
        if isinstance(self.kinds, str) or not KINDS.issuperset(self.kinds):
            raise SettingsError(f"kinds are some of {', '.join(sorted(KINDS))}", setting="short_codes")
        msgspec.structs.force_setattr(self, "kinds", frozenset(self.kinds))


class ShortCodes(Mapping[str | tuple[str, str], ShortCode]):
    """The publisher's short codes: ``{"36123": ShortCode(...), ("36124", "JEU"): ShortCode(...)}``.

    A key is a short code, or a short code with a first keyword, whose case, accents and punctuation do not matter.

    Raises:
        SettingsError: a key is neither, a keyword is a command such as STOP or is given twice, or a code declares
            a kind that its number (36xxx, 38xxx) forbids.
    """

    def __init__(self, given: Mapping[str | tuple[str, str], ShortCode]) -> None:
        self._entries: dict[str | tuple[str, str], ShortCode] = {}
        for key, entry in given.items():
            folded = _folded_key(key)
            if folded in self._entries:
                raise SettingsError(f"{key!r} is given twice", setting="short_codes")
            _check_entry(_code(folded), entry)
            self._entries[folded] = entry

    def __getitem__(self, key: str | tuple[str, str]) -> ShortCode:
        return self._entries[key]

    def __iter__(self) -> Iterator[str | tuple[str, str]]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, short_code: str, text: str) -> ShortCode | None:
        """Give what an SMS-MO to a short code is for, by its first keyword before the code alone.

        None is an unmapped message: it is kept and counted, and opens nothing.
        """
        by_keyword = self._entries.get((short_code, first_word(text)))
        return self._entries.get(short_code) if by_keyword is None else by_keyword

    def on(self, short_code: str) -> list[ShortCode]:
        """Give everything that one short code stands for, whatever the keyword."""
        return [entry for key, entry in self._entries.items() if _code(key) == short_code]

    def kinds(self, sender: str) -> frozenset[Kind]:
        """Give the kinds declared for a short code as a sender; none for one that is not in the settings."""
        return _NO_KINDS.union(*(entry.kinds for entry in self.on(sender)))


def _code(key: str | tuple[str, str]) -> str:
    return key if isinstance(key, str) else key[0]


def _folded_key(key: object) -> str | tuple[str, str]:
    match key:
        case str(code) if is_short_code(code):
            return code
        case (str(code), str(keyword)) if is_short_code(code) and (word := first_word(keyword)):
            if is_command(word):
                raise SettingsError(f"{keyword!r} is a command of every short code", setting="short_codes")
            return code, word
    raise SettingsError(f"a key is '36123' or ('36123', 'KEYWORD'); found: {key!r}", setting="short_codes")


def _check_entry(code: str, entry: object) -> None:
    if not isinstance(entry, ShortCode):
        raise SettingsError(f"{code} stands for a ShortCode, not {type(entry).__name__}", setting="short_codes")
    fixed = operators_kind(code)
    if fixed is not None and not entry.kinds <= {fixed, "reply"}:
        raise SettingsError(f"{code} carries {fixed} messages and replies only", setting="short_codes")
