"""STOP, CONTACT and START are answered from the short code that was written to, whatever forbids marketing."""

from __future__ import annotations

import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from alias_middleware.errors import ContactError, NotAccepted, SendingUncertain, SettingsError, SpoolError
from alias_middleware.smsplus.confirmations import Confirmations
from alias_middleware.spool import Spool
from alias_middleware.transport import Outgoing
from tests.support.site import ALIAS, OTHER_ALIAS
from tests.support.sms import PULL, Shop

TEXTS: Any = {
    "opt_out": "Vous ne recevrez plus de messages.",
    "contact": "Sonneries SA, 1 rue de la Paix, Paris",
    "start": "Bienvenue",
}


@pytest.fixture
def shop(tmp_path: Path) -> Any:
    made = Shop("sqlite", tmp_path)
    yield made
    made.tracker.close()


def write(shop: Shop, text: str, *, alias: str = ALIAS, ago: timedelta = timedelta(0)) -> Any:
    """Bring a message by way of the confirmations, and give what it was understood as."""
    confirmed = Confirmations(shop.tracker, shop.gateway, TEXTS)
    return confirmed.receive_sms(alias, PULL, text, at=shop.now - ago, message_id=text)


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        pytest.param("STOP", "opt_out", id="STOP"),
        pytest.param("Contact", "contact", id="CONTACT"),
        pytest.param("start", "start", id="START"),
    ],
)
def test_a_command_is_confirmed(shop: Shop, text: str, meaning: str) -> None:
    """At once, before the message is drained; on a Sunday night as well; without a STOP mention."""
    shop.clock.advance(days=6, hours=10)
    assert shop.now.isoweekday() == 7
    assert write(shop, text).meaning == meaning
    (sent,) = shop.gateway.sent
    assert (sent.receiver, sent.sender, sent.text) == (ALIAS, PULL, TEXTS[meaning])


@pytest.mark.parametrize(
    ("text", "alias"),
    [
        pytest.param("MENU", ALIAS, id="no command"),
        pytest.param("STOP", "33677236335", id="a sender that is no alias"),
    ],
)
def test_nothing_else_is_answered(shop: Shop, text: str, alias: str) -> None:
    """What a visitor pays for is the publisher's to answer, and a number that is no alias is nobody's."""
    write(shop, text, alias=alias)
    assert shop.gateway.sent == []


def test_an_old_message_is_not_answered(shop: Shop) -> None:
    """A gateway that brings a message a day late: its STOP is in force, the reply would be too late."""
    write(shop, "STOP", ago=timedelta(hours=24))
    assert shop.gateway.sent == []
    shop.tracker.flush()
    assert "opted_out" in shop.objections(ALIAS)[1]


def test_a_gateway_that_refuses_the_answer(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """The message is kept and acknowledged all the same; the log tells, without the alias."""

    def refuse(message: Outgoing) -> None:
        raise NotAccepted(reason="denied")

    shop.gateway.broken = refuse
    with caplog.at_level(logging.WARNING):
        assert write(shop, "STOP").meaning == "opt_out"
    assert "confirmation_not_sent NotAccepted" in caplog.text
    assert ALIAS not in caplog.text
    shop.tracker.flush()
    assert "opted_out" in shop.objections(ALIAS)[1]


def test_what_is_not_kept_is_not_confirmed(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The gateway brings it again, and it is confirmed then."""

    def full(self: Spool, record: object) -> None:
        raise SpoolError(reason="full")

    monkeypatch.setattr(Spool, "append", full)
    with pytest.raises(SpoolError):
        write(shop, "STOP")
    assert shop.gateway.sent == []
    monkeypatch.undo()
    write(shop, "STOP")
    assert len(shop.gateway.sent) == 1


def test_the_same_is_not_answered_over_and_over(shop: Shop) -> None:
    """A message brought twice, or a telephone that answers by itself: one answer in ten minutes, and no loop."""
    confirmed = Confirmations(shop.tracker, shop.gateway, TEXTS)
    answers = []
    for minutes, text in [(0, "STOP"), (0, "STOP"), (1, "STOP"), (2, "START"), (3, "STOP"), (14, "STOP")]:
        at = shop.now - timedelta(minutes=20 - minutes)
        confirmed.receive_sms(ALIAS, PULL, text, at=at, message_id=str(minutes))
        answers.append(len(shop.gateway.sent))
    assert answers == [1, 1, 1, 2, 3, 4]
    confirmed.receive_sms(OTHER_ALIAS, PULL, "STOP", at=shop.now, message_id="other")
    assert shop.gateway.receivers().count(OTHER_ALIAS) == 1


def test_what_the_gateway_refused_is_answered_when_it_comes_again(shop: Shop) -> None:
    """It certainly did not go out; of what may have gone out nothing goes twice."""
    confirmed = Confirmations(shop.tracker, shop.gateway, TEXTS)
    asked: list[Outgoing] = []

    def fail(message: Outgoing) -> None:
        asked.append(message)
        raise (NotAccepted if len(asked) == 1 else SendingUncertain)(reason="busy")

    shop.gateway.broken = fail
    for _ in range(3):
        confirmed.receive_sms(ALIAS, PULL, "STOP", at=shop.now, message_id="1")
    assert len(asked) == 2


@pytest.mark.parametrize(
    "texts",
    [
        pytest.param({"stop": "Au revoir"}, id="no such meaning"),
        pytest.param({"message": "Merci"}, id="no command"),
        pytest.param({"opt_out": "\ud83d"}, id="a text that cannot be sent"),
    ],
)
def test_unusable_texts(shop: Shop, texts: Any) -> None:
    """Refused at the start, not at the first STOP."""
    with pytest.raises(SettingsError, match="texts"):
        Confirmations(shop.tracker, shop.gateway, texts)


def test_a_reply_of_ones_own(shop: Shop) -> None:
    """Its verdict says why it was not sent; a text that cannot be is refused."""
    asked: Any = {"short_code": PULL, "received": shop.now, "transport": shop.gateway}
    assert shop.tracker.contact.reply(ALIAS, "Merci", **asked).decision == "send"
    late = shop.tracker.contact.reply(ALIAS, "Merci", **{**asked, "received": shop.now - timedelta(days=2)})
    assert [each.name for each in late.objections] == ["reply_too_late"]
    with pytest.raises(ContactError):
        shop.tracker.contact.reply(ALIAS, "\ud83d", **asked)
    with pytest.raises(ValueError, match="no alias"):
        shop.tracker.contact.reply("33677236335", "Merci", **asked)
    assert [message.text for message in shop.gateway.sent] == ["Merci"]
