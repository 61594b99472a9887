"""SMS-MO: kept before they are acknowledged, counted once, and a STOP in force when it is acknowledged."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from alias_middleware import Tracker
from alias_middleware.errors import ContactError, EventError, SettingsError, SpoolError, StorageUnavailable
from alias_middleware.events import Message, Unsubscription
from alias_middleware.reception import message_identity
from alias_middleware.spool import Spool
from tests.support.postgresql import EVERY_STORAGE, url_of
from tests.support.site import ALIAS, OTHER_ALIAS
from tests.support.sms import CODES, PULL, SUBSCRIPTION, Shop

DAY = timedelta(days=1)


@pytest.fixture(params=EVERY_STORAGE)
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    made = Shop(url_of(request.param, tmp_path, request), tmp_path)
    yield made
    made.tracker.close()


def test_a_message_is_in_the_visitors_history(shop: Shop) -> None:
    """By its text, its short code and what that stood for."""
    assert shop.write(ALIAS, "Menu svp", SUBSCRIPTION) == ("message", "premium_push")
    (message,) = shop.tracker.visitor(ALIAS).history()
    assert isinstance(message, Message)
    assert (message.channel, message.short_code, message.text) == ("sms", SUBSCRIPTION, "Menu svp")
    assert message.offer == "premium_push"
    assert message.time == shop.now


def test_a_message_delivered_again_counts_once(shop: Shop) -> None:
    """The gateway delivers at least once; two messages of one second stay two."""
    for message_id in ("a", "a", "b", "a"):
        shop.write(ALIAS, "MENU", message_id=message_id)
    assert len(shop.tracker.visitor(ALIAS).history()) == 2
    assert shop.tracker.counters()["deduplicated"] == 2


@pytest.mark.parametrize(
    ("code", "text", "offer"),
    [
        pytest.param("36125", "Jeu 12", "premium_express", id="by its first keyword"),
        pytest.param("36125", "MENU", None, id="another keyword"),
        pytest.param("36999", "MENU", None, id="an unmapped code"),
    ],
)
def test_what_a_message_is_for(shop: Shop, code: str, text: str, offer: str | None) -> None:
    """An unmapped message is kept and counted, and opens nothing."""
    assert shop.write(ALIAS, text, code).offer == offer
    assert len(shop.tracker.visitor(ALIAS).history()) == 1
    opened = shop.objections(ALIAS, "premium_express")[1]
    assert ("no_window" in opened) == (offer is None)


@pytest.mark.parametrize("sender", ["33677236335", "+33677236335", "ORANGE", ""])
def test_a_sender_that_is_no_alias(shop: Shop, sender: str, caplog: pytest.LogCaptureFixture) -> None:
    """The message is kept, once, and gives no visitor; the number is nowhere."""
    caplog.set_level(logging.DEBUG)
    for _ in range(2):
        assert shop.write(sender, "MENU", message_id="1").meaning == "stray"
    assert shop.tracker.counters()["stray_messages"] == 1
    (kept,) = shop.tracker.storage.outbox().strays("sonneries", 9)
    assert (kept.short_code, kept.text) == (PULL, "MENU")
    assert shop.tracker.counters()["seen"] == 0
    if sender:
        assert sender not in caplog.text


def test_a_stop_is_in_force_before_it_is_drained(shop: Shop) -> None:
    """The answer of the gateway's request says so: nothing waits for the writer."""
    shop.write(ALIAS, "MENU")
    shop.buy(ALIAS)
    assert shop.objections(ALIAS)[0] == "send"
    received = shop.tracker.receive_sms(ALIAS, PULL, "stop!", at=shop.now, message_id="s")
    assert received.meaning == "opt_out"
    assert set(shop.objections(ALIAS)[1]) == {"service_stopped", "opted_out"}


def test_a_new_message_lifts_the_services_stop_only(shop: Shop) -> None:
    """The opt-out from marketing is lifted by explicit consent alone, and by a later one."""
    shop.buy(ALIAS)
    shop.write(ALIAS, "MENU", ago=2 * DAY)
    shop.write(ALIAS, "STOP", ago=DAY)
    shop.write(ALIAS, "MENU")
    assert shop.objections(ALIAS) == ("refuse", ["opted_out"])
    assert shop.objections(ALIAS, kind="transactional", sender="38123") == ("send", [])
    shop.tracker.visitor(ALIAS).consent("contact", True, source="settings page")
    assert shop.objections(ALIAS) == ("send", [])


def test_stop_to_an_active_subscription_ends_it(shop: Shop) -> None:
    """It opens the window of Premium Push, and is not the opt-out."""
    shop.buy(ALIAS)
    shop.write(ALIAS, "ABO", SUBSCRIPTION, ago=10 * DAY)
    asked: dict[str, Any] = {"offer": "premium_push", "sender": SUBSCRIPTION}
    assert shop.objections(ALIAS, **asked)[1] == ["still_subscribed"]
    assert shop.write(ALIAS, "STOP", SUBSCRIPTION).meaning == "unsubscription"
    assert shop.objections(ALIAS, **asked) == ("send", [])
    shop.clock.advance(days=31)
    assert shop.objections(ALIAS, **asked)[1] == ["window_closed"]


@pytest.mark.parametrize(
    ("code", "text"),
    [
        pytest.param(SUBSCRIPTION, "STOPALL", id="everything"),
        pytest.param(SUBSCRIPTION, "STOP 36999", id="another code is named"),
        pytest.param(PULL, "STOP", id="no subscription there"),
        pytest.param("36999", "STOP", id="an unmapped code"),
    ],
)
def test_a_stop_that_is_not_clear_is_the_opt_out(shop: Shop, code: str, text: str) -> None:
    """The safe reading of what the visitor wants."""
    shop.write(ALIAS, "ABO", SUBSCRIPTION, ago=DAY)
    assert shop.write(ALIAS, text, code).meaning == "opt_out"
    assert "opted_out" in shop.objections(ALIAS)[1]


def test_stop_in_answer_to_marketing_is_the_opt_out(shop: Shop) -> None:
    """Also by a subscriber: it was marketing he did not want."""
    shop.buy(ALIAS)
    shop.write(ALIAS, "MENU")
    shop.tracker.contact.declare_no_prior_optouts()
    shop.campaign().run(shop.gateway)
    assert shop.gateway.receivers() == [ALIAS]
    shop.clock.advance(hours=1)
    shop.write(ALIAS, "ABO", SUBSCRIPTION)
    assert shop.write(ALIAS, "STOP", SUBSCRIPTION).meaning == "opt_out"


def test_a_stop_survives_erasure(shop: Shop) -> None:
    """Who said no is not written to because he asked to be forgotten."""
    shop.write(ALIAS, "STOP")
    shop.tracker.privacy.erase(ALIAS)
    shop.clock.advance(hours=1)
    shop.buy(ALIAS)
    shop.write(ALIAS, "MENU")
    assert shop.objections(ALIAS) == ("refuse", ["opted_out"])


def test_unsubscribed_elsewhere(shop: Shop) -> None:
    """On a web page, by the operator: the window opens at the moment it happened."""
    shop.write(ALIAS, "ABO", SUBSCRIPTION, ago=40 * DAY)
    shop.tracker.unsubscribed(ALIAS, "premium_push", at=shop.now - DAY)
    shop.tracker.unsubscribed(ALIAS, "premium_push", at=shop.now - DAY)
    shop.tracker.flush()
    kinds = [type(event) for event in shop.tracker.visitor(ALIAS).history()]
    assert kinds == [Unsubscription, Message]
    verdict = shop.tracker.contact.verdict(
        ALIAS, offer="premium_push", kind="transactional", sender="38123", at=shop.now
    )
    (window,) = [reason for reason in verdict.reasons if reason.name == "window_open"]
    assert window.value == (shop.now - DAY + 31 * DAY).replace(hour=11)  # 13:00 in Paris, in summer by then
    with pytest.raises(ContactError):
        shop.tracker.unsubscribed(ALIAS, "premium_pusch", at=shop.now)


def test_messages_are_visits_of_their_channel(shop: Shop) -> None:
    """A visit by SMS is not one on the web."""
    shop.write(ALIAS, "MENU")
    shop.write(OTHER_ALIAS, "MENU")
    figures = shop.tracker.statistics.summary(date(2026, 3, 2), date(2026, 3, 3))
    assert (figures.visits, figures.page_views) == (2, 0)


def test_what_is_not_kept_is_not_acknowledged(tmp_path: Path) -> None:
    """The gateway delivers it again."""
    shop = Shop("sqlite", tmp_path, spool_limit=500)
    shop.tracker.receive_sms(ALIAS, PULL, "a text that fills the spool " * 9, at=shop.now, message_id="1")
    with pytest.raises(SpoolError):
        shop.tracker.receive_sms(ALIAS, PULL, "one too many" * 9, at=shop.now, message_id="2")
    shop.tracker.close()


def test_a_stop_that_cannot_be_put_in_force_is_not_acknowledged(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is kept in the spool, and the gateway told to come back; then it counts once and is in force."""
    with monkeypatch.context() as broken:
        broken.setattr(shop.tracker.storage, "suppress", _fail)
        with pytest.raises(StorageUnavailable):
            shop.write(ALIAS, "STOP", message_id="s")
    shop.write(ALIAS, "STOP", message_id="s")
    assert len(shop.tracker.visitor(ALIAS).history()) == 1
    assert "opted_out" in shop.objections(ALIAS)[1]


def _fail(*arguments: object) -> None:
    raise StorageUnavailable(reason="down")


def test_a_stop_delivered_again_means_what_it_meant(shop: Shop) -> None:
    """The subscription it ended is over by then; it still is no opt-out."""
    shop.buy(ALIAS)
    shop.write(ALIAS, "ABO", SUBSCRIPTION, ago=DAY)
    for _ in range(2):
        assert shop.write(ALIAS, "STOP", SUBSCRIPTION, message_id="s").meaning == "unsubscription"
    assert shop.objections(ALIAS, "premium_push", sender=SUBSCRIPTION) == ("send", [])


def test_stops_of_many_at_once(shop: Shop) -> None:
    """200 threads: each is in force when its call returns."""
    aliases = [f"{number:012}" for number in range(200)]
    late: list[str] = []

    def stop(alias: str) -> None:
        shop.tracker.receive_sms(alias, PULL, "STOP", at=shop.now, message_id=alias)
        if "opted_out" not in shop.objections(alias)[1]:
            late.append(alias)

    threads = [threading.Thread(target=stop, args=(alias,)) for alias in aliases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert late == []
    shop.tracker.flush()
    assert shop.tracker.counters()["stored"] == 200


def test_a_trackers_codes_are_its_services() -> None:
    """Those of another service belong to that service's tracker."""
    given: dict[str, Any] = {"service": "jeux", "trusted_gateways": ["10.12.0.0/16"], "short_codes": CODES}
    with pytest.raises(SettingsError, match="sonneries"):
        Tracker(**given)


def test_a_stop_is_in_force_though_the_spool_is_full(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The gateway is told to bring it again; until then nobody is written to who said STOP."""
    shop.write(ALIAS, "MENU")
    shop.buy(ALIAS)
    assert shop.objections(ALIAS) == ("send", [])

    def full(spool: Spool, event: object) -> None:
        raise SpoolError(reason="full")

    with monkeypatch.context() as patched:
        patched.setattr(Spool, "append", full)
        with pytest.raises(SpoolError):
            shop.write(ALIAS, "STOP", message_id="s")
    assert shop.objections(ALIAS) == ("refuse", ["service_stopped", "opted_out"])
    shop.write(ALIAS, "STOP", message_id="s")
    assert len(shop.tracker.visitor(ALIAS).history()) == 3


@pytest.mark.parametrize("storage", ["memory", "sqlite"])
def test_ids_tell_nobody_who_holds_the_aliases(tmp_path: Path, storage: str) -> None:
    """With pseudonyms an event's id is no hash of the alias, nor that of a stray message one of its sender.

    There are so few aliases and numbers that all their hashes are made in minutes.
    """
    shop = Shop(storage, tmp_path, pseudonym_keys=[b"p" * 32])
    shop.tracker.unsubscribed(ALIAS, "premium_push", at=shop.now)
    shop.write(ALIAS, "MENU", message_id="1")
    shop.write("33677236335", "MENU", message_id="1")
    known = {
        message_identity("sonneries", ALIAS, "premium_push", "unsubscribed"),
        message_identity("sonneries", ALIAS, PULL, "1"),
        message_identity("sonneries", "33677236335", PULL, "1"),
    }
    (stray,) = shop.tracker.storage.outbox().strays("sonneries", 9)
    found = {stray.id}
    shop.tracker.close()
    if storage == "sqlite":
        with closing(sqlite3.connect(tmp_path / "alias.db")) as sql:
            found.update(id_ for (id_,) in sql.execute("SELECT id FROM events"))
        assert len(found) == 3
    assert not known & found


@pytest.mark.parametrize("behind", [timedelta(seconds=1), timedelta(minutes=5)])
def test_a_stop_answers_marketing_whatever_the_gateways_clock_says(shop: Shop, behind: timedelta) -> None:
    """Its stamp has whole seconds of a clock that is not ours: it may lie before the message it answers."""
    shop.write(ALIAS, "ABO", SUBSCRIPTION, ago=2 * DAY)
    shop.write(ALIAS, "MENU")
    shop.buy(ALIAS)
    shop.tracker.contact.declare_no_prior_optouts()
    assert shop.campaign().run(shop.gateway).states == {"sent": 1}
    assert shop.write(ALIAS, "STOP", SUBSCRIPTION, ago=behind).meaning == "opt_out"


@pytest.mark.parametrize("at", [datetime(2026, 3, 2, 12), "2026-03-02T12:00"])  # noqa: DTZ001 - that is it
def test_what_names_no_instant_is_said(shop: Shop, at: Any) -> None:
    """Whoever calls with it can mend that; nothing is kept."""
    with pytest.raises(EventError):
        shop.tracker.receive_sms(ALIAS, "36123", "HIT", at=at, message_id="1")
