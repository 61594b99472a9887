"""What a visitor commands by SMS: STOP in its forms, CONTACT and START; and which STOP means what.

Texts are folded before they are compared: case, accents and punctuation do not matter. When in doubt a text is a
STOP, and a STOP is the opt-out.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

Verb = Literal["stop", "stopall", "contact", "start"]

COMMANDS: Final[Mapping[str, Verb]] = MappingProxyType(
    {
        "STOP": "stop",
        "ARRET": "stop",
        "ARRETE": "stop",
        "STOPALL": "stopall",
        "CONTACT": "contact",
        "START": "start",
    }
)
"""The words, folded, unless the settings say otherwise."""

_WORD: Final = re.compile(r"[^\W_]+")
_FILLERS: Final = frozenset({"", "AU", "SMS"})
_EVERYTHING: Final = frozenset({"ALL", "TOUT", "TOUS"})
_GLUED: Final = re.compile(r"(SMS|[0-9]+)$")
_SHORTEST_CODE: Final = 3


class Command(NamedTuple):
    """A command, and the short code it names where it names one, as ``STOP 36105`` does."""

    verb: Verb
    short_code: str | None = None

    @property
    def opens(self) -> bool:
        """Whether the message also counts as one that opens windows and lifts the service's STOP."""
        return self.verb == "start"


def fold(text: str) -> str:
    """Give a text in capitals, without accents and in plain letters and digits where it had ornate ones."""
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(char for char in decomposed if not unicodedata.combining(char)).upper()


def first_word(text: str) -> str:
    """Give the first word of a text, folded; "" when it has none."""
    word = _WORD.search(fold(text))
    return word[0] if word else ""


def is_command(word: str, commands: Mapping[str, Verb] = COMMANDS) -> bool:
    """Whether a folded word is a command."""
    return word in commands


def command_of(text: str, commands: Mapping[str, Verb] = COMMANDS) -> Command | None:
    """Give the command that an SMS-MO begins with, None when it is an ordinary message.

    ``STOP 36105``, ``STOP au 36105``, ``STOP36105``, ``STOP SMS``, ``S.T.O.P.`` and ``STOP ALL`` are understood.
    ``commands`` maps folded words to what they mean.
    """
    folded = fold(text)
    words = _WORD.findall(folded)
    if not words:
        return None
    for first, rest in ((words[0], words[1:]), _run_together(folded)):
        glued = _GLUED.search(first)
        stem = first if glued is None or first in commands else first[: glued.start()]
        if stem in commands:
            return _command(commands[stem], [first[len(stem) :], *rest])
    return None


def _run_together(folded: str) -> tuple[str, list[str]]:
    """The first word between blanks without the punctuation inside it, and the words after it."""
    tokens = ["".join(_WORD.findall(token)) for token in folded.split()]
    first, *rest = filter(None, tokens)
    return first, rest


def _command(verb: Verb, rest: list[str]) -> Command:
    following = [word for word in rest if word not in _FILLERS][:1]
    if verb == "stop" and _EVERYTHING.intersection(following):
        return Command("stopall")
    named = [word for word in following if word.isascii() and word.isdigit() and len(word) >= _SHORTEST_CODE]
    return Command(verb, named[0] if named else None)


StopMeaning = Literal["unsubscription", "opt_out"]


def meaning_of_stop(
    command: Command, *, short_code: str, subscribed: bool, answers_marketing: bool
) -> StopMeaning:
    """Tell the STOP that ends a subscription from the one that forbids marketing.

    It ends the subscription when it is sent to the ``short_code`` of an active one (``subscribed``), names no
    other code and does not answer a marketing message from there (``answers_marketing``). STOPALL, and any STOP
    of which that is not clear, is the opt-out.
    """
    clear = command.short_code in (None, short_code) and not answers_marketing
    return "unsubscription" if command.verb == "stop" and subscribed and clear else "opt_out"
