"""Commands by SMS: what is understood as STOP, CONTACT and START, and which STOP means what."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alias_middleware.contact import COMMANDS, Command, command_of, meaning_of_stop
from alias_middleware.contact.keywords import first_word, fold


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("STOP", id="plain"),
        pytest.param("stop", id="small"),
        pytest.param("  Stop. ", id="blanks and a full stop"),
        pytest.param('"STOP"', id="quoted"),
        pytest.param("Stop, merci de ne plus m'écrire", id="with a reason"),
        pytest.param("S.T.O.P.", id="dotted"),
        pytest.param("S-T-O-P s'il vous plaît", id="dashed"),
        pytest.param("🛑 stop", id="after a sign"),
        pytest.param("\uff33\uff34\uff2f\uff30", id="full width"),
        pytest.param("Stóp", id="an accent by accident"),
        pytest.param("STOP SMS", id="SMS"),
        pytest.param("stopsms", id="SMS, glued"),
        pytest.param("arret", id="arret"),
        pytest.param("Arrêt", id="arret with its accent"),
        pytest.param("Arre\u0302te\u0301 !", id="combining accents"),
        pytest.param("arrêté", id="arrêté"),
        pytest.param("Stop au revoir", id="AU without a number"),
    ],
)
def test_it_is_a_stop(text: str) -> None:
    """The first word counts; case, accents and punctuation do not."""
    assert command_of(text) == Command("stop")


@pytest.mark.parametrize(
    "text",
    [
        "STOP 36105",
        "stop au 36105",
        "Stop36105",
        "STOP SMS 36105",
        "STOP SMS au 36105",
        "stop: 36105.",
        "ARRÊT 36105",
    ],
)
def test_it_names_a_short_code(text: str) -> None:
    """Visitors copy the mention as it stands under the message."""
    assert command_of(text) == Command("stop", "36105")


@pytest.mark.parametrize("text", ["STOPALL", "Stop all", "STOP TOUT", "stop tous !", "StopAll 36105 "])
def test_it_stops_everything(text: str) -> None:
    """STOPALL, in one word or two."""
    command = command_of(text)
    assert command is not None
    assert command.verb == "stopall"


@pytest.mark.parametrize(
    ("text", "command"),
    [
        pytest.param("contact", Command("contact"), id="contact"),
        pytest.param("Contact 36105", Command("contact", "36105"), id="contact, with its code"),
        pytest.param("START", Command("start"), id="start"),
        pytest.param("start 36105", Command("start", "36105"), id="start, with its code"),
    ],
)
def test_the_other_commands(text: str, command: Command) -> None:
    """CONTACT asks for the publisher's details, START re-opens."""
    assert command_of(text) == command


def test_only_start_opens_what_a_message_opens() -> None:
    """STOP and CONTACT are no interest in the service: they open no window and lift no STOP."""
    assert [Command(verb).opens for verb in ("stop", "stopall", "contact", "start")] == [False] * 3 + [True]


@pytest.mark.parametrize(
    "text",
    ["", "   ", "?!", "🙂", "JEU", "hello stop", "Stopper", "non stop", "stopover 36105", "arreter", "36105 STOP"],
)
def test_it_is_an_ordinary_message(text: str) -> None:
    """Another first word is no command, nor is a word that only begins like one."""
    assert command_of(text) is None


def test_the_words_are_a_setting() -> None:
    """A publisher may add words of his own; his list replaces ours."""
    words = {**COMMANDS, "DESABO": "stop"}
    assert command_of("Désabo !", words) == Command("stop")
    assert command_of("STOP", {"DESABO": "stop"}) is None


@given(st.text(max_size=40))
def test_any_text_is_read(text: str) -> None:
    """Whatever comes by SMS, nothing raises, and folding twice changes nothing more."""
    command_of(text)
    assert first_word(fold(text)) == first_word(text)
    assert command_of(f"STOP {text}") is not None


@pytest.mark.parametrize(
    ("command", "subscribed", "answers_marketing", "meaning"),
    [
        pytest.param(Command("stop"), True, False, "unsubscription", id="to an active subscription"),
        pytest.param(Command("stop", "36123"), True, False, "unsubscription", id="naming its own short code"),
        pytest.param(Command("stop", "36999"), True, False, "opt_out", id="naming another short code"),
        pytest.param(Command("stop"), False, False, "opt_out", id="without a subscription"),
        pytest.param(Command("stop"), False, True, "opt_out", id="in answer to marketing"),
        pytest.param(Command("stop"), True, True, "opt_out", id="unclear which: both"),
        pytest.param(Command("stopall"), True, False, "opt_out", id="STOPALL"),
    ],
)
def test_what_a_stop_means(command: Command, subscribed: bool, answers_marketing: bool, meaning: str) -> None:
    """It ends a subscription only where that is clear; else it is the opt-out."""
    said = meaning_of_stop(command, short_code="36123", subscribed=subscribed, answers_marketing=answers_marketing)
    assert said == meaning
