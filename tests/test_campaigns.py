"""Campaigns: each visitor at most once, nobody lost silently, nothing against a rule, whatever breaks."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from alias_middleware.audience import Audience
from alias_middleware.contact import FrequencyCap
from alias_middleware.errors import ContactError, NotAccepted, StorageUnavailable
from alias_middleware.local_time import to_micros
from alias_middleware.storage.outbox import CampaignId
from alias_middleware.transport import Outgoing
from tests.support.postgresql import EVERY_STORAGE, url_of
from tests.support.site import ALIAS, OTHER_ALIAS
from tests.support.sms import PULL, Shop

PEOPLE = [f"{number:012}" for number in range(1, 41)]
DAY = timedelta(days=1)
EVENING = datetime(2026, 3, 2, 21, 30, tzinfo=UTC)  # 22:30 in Paris, a Monday
MORNING = datetime(2026, 3, 3, 7, 0, tzinfo=UTC)


@pytest.fixture(params=EVERY_STORAGE)
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A new storage of each kind."""
    return url_of(request.param, tmp_path, request)


@pytest.fixture
def shop(storage: str, tmp_path: Path) -> Iterator[Shop]:
    made = Shop(storage, tmp_path)
    made.tracker.contact.declare_no_prior_optouts()
    yield made
    made.tracker.close()


def populate(shop: Shop, *aliases: str) -> None:
    """Visitors who may be written to."""
    for alias in aliases:
        shop.tracker.receive_sms(alias, PULL, "MENU", at=shop.now, message_id=alias)
    shop.buy(*aliases)


def test_everybody_gets_it_once(shop: Shop) -> None:
    """With the STOP mention; running it again sends nothing."""
    populate(shop, *PEOPLE[:5])
    campaign = shop.campaign()
    assert campaign.status().standing == "draft"
    progress = campaign.run(shop.gateway)
    assert (progress.standing, progress.states) == ("finished", {"sent": 5})
    assert shop.gateway.receivers() == PEOPLE[:5]
    (message, *_) = shop.gateway.sent
    assert (message.sender, message.text) == (PULL, f"Bonjour STOP {PULL}")
    with pytest.raises(ContactError, match="finished"):
        campaign.run(shop.gateway)
    assert len(shop.gateway.sent) == 5


def test_who_may_not_is_refused_with_a_reason(shop: Shop) -> None:
    """No window, no consent, a STOP: each counted under the rule that spoke first."""
    populate(shop, ALIAS, *PEOPLE[:2])
    shop.write(ALIAS, "STOP")
    shop.buy("100000000001")
    shop.write("100000000002", "MENU")
    progress = shop.campaign().run(shop.gateway)
    assert progress.states == {"sent": 2, "refused": 3}
    assert progress.reasons == {"service_stopped": 1, "no_window": 1, "no_consent": 1}


def test_a_preview_is_what_a_run_does(shop: Shop) -> None:
    """Counted by the same rules, stored and sent nowhere."""
    populate(shop, *PEOPLE[:4])
    shop.write(PEOPLE[0], "STOP")
    campaign = shop.campaign(text="é" * 155)
    preview = campaign.preview(shop.now)
    assert (preview.selected, preview.send, preview.hold, preview.refuse) == (4, 3, 0, 1)
    assert preview.reasons == {"service_stopped": 1}
    assert (preview.segments, preview.until, preview.warnings) == (6, None, ())
    assert campaign.status().states == {}
    assert shop.gateway.sent == []
    progress = campaign.run(shop.gateway)
    assert progress.states == {"sent": preview.send, "refused": preview.refuse}


def test_messages_of_the_night_wait_for_the_morning(shop: Shop) -> None:
    """Held at 22:30, judged anew at 08:00: who has said STOP meanwhile gets none."""
    populate(shop, ALIAS, OTHER_ALIAS)
    shop.clock.now = EVENING
    campaign = shop.campaign(text="Ce soir grand jeu, demain aussi")
    preview = campaign.preview(shop.now)
    assert (preview.hold, preview.until) == (2, MORNING)
    assert [warning.phrase for warning in preview.warnings] == ["Ce soir", "demain"]
    progress = campaign.run(shop.gateway)
    assert (progress.standing, progress.states) == ("running", {"held": 2})
    assert progress.reasons == {"quiet_hours": 2}
    shop.write(ALIAS, "STOP")
    shop.clock.now = MORNING - timedelta(microseconds=1)
    assert campaign.run(shop.gateway).states == {"held": 2}
    shop.clock.now = MORNING
    assert campaign.run(shop.gateway).states == {"sent": 1, "refused": 1}
    assert shop.gateway.receivers() == [OTHER_ALIAS]


@pytest.mark.parametrize(
    ("expires", "states"),
    [
        pytest.param(MORNING, {"expired": 1}, id="at the moment it would arrive"),
        pytest.param(MORNING + timedelta(minutes=1), {"held": 1}, id="after it arrives"),
        pytest.param(EVENING, {"expired": 1}, id="already"),
    ],
)
def test_what_would_come_too_late_is_dropped(shop: Shop, expires: datetime, states: dict[str, int]) -> None:
    """A held message that would arrive after the campaign expires is not kept for the morning."""
    populate(shop, ALIAS)
    shop.clock.now = EVENING
    campaign = shop.campaign(expires=expires)
    preview = campaign.preview()
    assert (preview.send, preview.hold, preview.refuse) == (0, states.get("held", 0), states.get("expired", 0))
    assert campaign.run(shop.gateway).states == states
    assert campaign.status().reasons == preview.reasons


def test_an_audience(shop: Shop) -> None:
    """Clients by their orders, visitors by when they were seen, by what they wrote to last."""
    populate(shop, *PEOPLE[:3])
    shop.write(PEOPLE[3], "MENU", ago=20 * DAY)
    expected: dict[str, tuple[dict[str, Any], list[str]]] = {
        "clients": ({"client": True}, PEOPLE[:3]),
        "others": ({"client": False}, PEOPLE[3:4]),
        "orders": ({"min_orders": 2}, []),
        "few orders": ({"max_orders": 0}, PEOPLE[3:4]),
        "idle": ({"idle_days": 20}, PEOPLE[3:4]),
        "not so idle": ({"idle_days": 21}, []),
        "recent": ({"seen_within_days": 20}, PEOPLE[:3]),
        "offer": ({"last_offer": "light_pull", "client": True}, PEOPLE[:3]),
        "another offer": ({"last_offer": "premium_push"}, []),
    }
    for name, (conditions, selected) in expected.items():
        campaign = shop.campaign(name, audience=Audience(**conditions))
        assert [judged.key for judged in campaign.judgements(shop.now)] == selected, name


def test_an_audience_by_interest(shop: Shop) -> None:
    """Who favours a category by his own habits, and lets himself be personalised for."""
    populate(shop, ALIAS, OTHER_ALIAS, PEOPLE[0])
    for alias, category in ((ALIAS, "music"), (OTHER_ALIAS, "sport"), (PEOPLE[0], "music")):
        with shop.tracker.visitor(alias) as visitor:
            for _ in range(2):
                visitor.track("cart", category=category)
    with shop.tracker.visitor(PEOPLE[0]) as visitor:
        visitor.consent("personalise", False)
    shop.tracker.flush()
    campaign = shop.campaign(audience=Audience(interest="music"))
    assert [judged.key for judged in campaign.judgements(shop.now)] == [ALIAS]


def test_an_audience_is_fixed_when_it_is_queued(shop: Shop) -> None:
    """Who comes along while a campaign is paused is not in it."""
    populate(shop, ALIAS)
    shop.clock.now = EVENING
    campaign = shop.campaign()
    campaign.run(shop.gateway)
    populate(shop, OTHER_ALIAS)
    shop.clock.now = MORNING
    campaign.run(shop.gateway)
    assert shop.gateway.receivers() == [ALIAS]


def test_a_frequency_cap(shop: Shop) -> None:
    """Over campaigns, in any stretch of the period; the plan's own instead of the settings'."""
    populate(shop, ALIAS)
    cap = FrequencyCap(messages=1, period=timedelta(days=7))
    shop.campaign("one", cap=cap).run(shop.gateway)
    shop.clock.advance(days=6, hours=23)
    assert shop.campaign("two", cap=cap).run(shop.gateway).reasons == {"frequency_cap": 1}
    shop.clock.advance(hours=2)
    assert shop.campaign("three", cap=cap).run(shop.gateway).states == {"sent": 1}


def test_delivery_reports(shop: Shop) -> None:
    """Named by the message's id; a report for an unknown message changes nothing."""
    populate(shop, ALIAS, OTHER_ALIAS)
    campaign = shop.campaign()
    campaign.run(shop.gateway)
    first, second = shop.gateway.sent
    contact = shop.tracker.contact
    assert contact.reported(first.message_id, "delivered")
    assert contact.reported(second.message_id, "failed", reason="absent")
    assert not contact.reported(first.message_id, "failed")
    assert not contact.reported("unknown", "delivered")
    progress = campaign.status()
    assert (progress.states, progress.reasons) == ({"delivered": 1, "failed": 1}, {"absent": 1})


def test_a_gateway_that_refuses(shop: Shop) -> None:
    """Certainly not sent: failed, with the gateway's reason; the others go on."""

    def refuse(message: Outgoing) -> None:
        if message.receiver == ALIAS:
            raise NotAccepted(reason="unroutable")

    populate(shop, ALIAS, OTHER_ALIAS)
    shop.gateway.broken = refuse
    progress = shop.campaign().run(shop.gateway)
    assert (progress.states, progress.reasons) == ({"sent": 1, "failed": 1}, {"unroutable": 1})


def test_a_gateway_that_cannot_be_reached(shop: Shop) -> None:
    """The campaign pauses with the message queued again; nobody is lost, nobody gets two."""

    def down(message: Outgoing) -> None:
        if shop.gateway.sent:
            raise NotAccepted(reason="unreachable", temporary=True)

    populate(shop, *PEOPLE[:3])
    shop.gateway.broken = down
    campaign = shop.campaign()
    progress = campaign.run(shop.gateway)
    assert (progress.standing, progress.states) == ("paused", {"sent": 1, "queued": 2})
    shop.gateway.broken = lambda message: None
    assert campaign.run(shop.gateway).states == {"sent": 3}
    assert shop.gateway.receivers() == PEOPLE[:3]


def test_a_gateway_that_hangs(shop: Shop) -> None:
    """Nobody knows: uncertain, listed, never sent again; three in a row pause the campaign."""

    def hang(message: Outgoing) -> None:
        raise TimeoutError

    populate(shop, *PEOPLE[:5])
    shop.gateway.broken = hang
    campaign = shop.campaign()
    progress = campaign.run(shop.gateway)
    assert (progress.standing, progress.states) == ("paused", {"uncertain": 3, "queued": 2})
    assert [dispatch.key for dispatch in campaign.uncertain()] == PEOPLE[:3]
    shop.gateway.broken = lambda message: None
    assert campaign.run(shop.gateway).states == {"uncertain": 3, "sent": 2}
    assert shop.gateway.receivers() == PEOPLE[3:5]
    uncertain = campaign.uncertain(limit=1)[0]
    assert shop.tracker.contact.reported(uncertain.message_id, "delivered")
    assert campaign.status().states == {"uncertain": 2, "sent": 2, "delivered": 1}


def test_pausing_and_cancelling(shop: Shop) -> None:
    """A pause ends the run after the message being sent; a cancelled campaign never runs again."""
    populate(shop, *PEOPLE[:5])
    campaign = shop.campaign()
    shop.gateway.broken = lambda message: campaign.pause() if len(shop.gateway.sent) == 1 else None
    progress = campaign.run(shop.gateway)
    assert (progress.standing, progress.states) == ("paused", {"sent": 2, "queued": 3})
    assert campaign.cancel()
    assert not campaign.cancel()
    assert not campaign.pause()
    assert campaign.status().states == {"sent": 2, "cancelled": 3}
    with pytest.raises(ContactError, match="cancelled"):
        campaign.run(shop.gateway)


def test_a_rate(tmp_path: Path) -> None:
    """Between two messages passes the time that the rate asks for."""
    shop = Shop("memory", tmp_path)
    shop.tracker.contact.declare_no_prior_optouts()
    populate(shop, *PEOPLE[:3])
    passed: list[float] = []
    campaign = shop.campaign(rate=50)
    campaign._desk = campaign._desk._replace(pause=passed.append)
    campaign.run(shop.gateway)
    assert passed == [0.02] * 3
    shop.tracker.close()


def test_earlier_opt_outs_come_first(storage: str, tmp_path: Path) -> None:
    """Nobody is written to before it is known who said no to whoever wrote before."""
    shop = Shop(storage, tmp_path)
    populate(shop, ALIAS, OTHER_ALIAS)
    campaign = shop.campaign()
    with pytest.raises(ContactError, match="opt-outs"):
        campaign.run(shop.gateway)
    assert shop.gateway.sent == []
    with pytest.raises(ValueError, match="no alias"):
        shop.tracker.contact.import_suppressions([ALIAS, "33677236335"])
    with pytest.raises(ContactError, match="nobody is named"):
        shop.tracker.contact.import_suppressions([])
    with pytest.raises(ContactError, match="opt-outs"):
        campaign.run(shop.gateway)
    assert shop.tracker.contact.import_suppressions([ALIAS, ALIAS]) == 2
    assert campaign.run(shop.gateway).reasons == {"opted_out": 1}
    assert shop.gateway.receivers() == [OTHER_ALIAS]
    shop.tracker.close()


def test_an_import_again_does_not_undo_consent(shop: Shop) -> None:
    """Who consented after his old opt-out was taken over is not opted out by taking it over once more."""
    populate(shop, ALIAS)
    shop.tracker.contact.import_suppressions([ALIAS])
    shop.clock.advance(hours=1)
    shop.tracker.visitor(ALIAS).consent("contact", True, source="settings page")
    shop.clock.advance(hours=1)
    assert shop.tracker.contact.import_suppressions([ALIAS]) == 1
    assert shop.objections(ALIAS) == ("send", [])


def test_a_name_stands_for_one_plan(shop: Shop) -> None:
    """The same plan is the same campaign; once it has begun, another one needs another name."""
    populate(shop, ALIAS)
    shop.campaign().run(shop.gateway)
    assert shop.campaign().status().states == {"sent": 1}
    with pytest.raises(ContactError, match="another plan"):
        shop.campaign(text="Autre chose")
    assert [each.name for each in shop.tracker.contact.campaigns()] == ["noel"]
    with pytest.raises(ContactError, match="no campaign"):
        shop.tracker.contact.find("paques")


def test_a_draft_is_planned_anew(shop: Shop) -> None:
    """Until it begins another text takes the place of the first; who holds the first does not send it."""
    populate(shop, ALIAS)
    first = shop.campaign(text="Bonjuor")
    assert first.preview().send == 1
    second = shop.campaign()
    with pytest.raises(ContactError, match="planned otherwise"):
        first.run(shop.gateway)
    assert second.status().standing == "draft"
    second.run(shop.gateway)
    assert [message.text for message in shop.gateway.sent] == [f"Bonjour STOP {PULL}"]
    with pytest.raises(ContactError, match="planned otherwise"):
        first.run(shop.gateway)
    assert second.status().standing == "finished"


def test_a_plan_changed_in_the_last_moment(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look at a plan and its beginning: neither text goes, and it is still a draft."""
    populate(shop, ALIAS)
    first = shop.campaign(text="Bonjuor")
    outbox = type(shop.tracker.storage.outbox())
    turn = outbox.turn

    def planned_anew(self: Any, *campaign: Any, **rest: Any) -> bool:
        shop.campaign()
        return turn(self, *campaign, **rest)

    monkeypatch.setattr(outbox, "turn", planned_anew)
    with pytest.raises(ContactError, match="changed meanwhile"):
        first.run(shop.gateway)
    assert (first.status().standing, shop.gateway.sent) == ("draft", [])


def test_a_scheduled_campaign_starts_in_time(shop: Shop) -> None:
    """Not before its moment, whoever runs it; a timer runs what is due, and nothing that is a draft or paused."""
    populate(shop, ALIAS)
    starts = shop.now + timedelta(hours=2)
    campaign = shop.campaign(starts=starts)
    shop.campaign(name="a draft")
    shop.campaign(name="a pause", starts=starts).pause()
    assert campaign.preview().at == starts
    assert campaign.run(shop.gateway).standing == "scheduled"
    assert shop.tracker.contact.run_due(shop.gateway) == []
    assert shop.gateway.sent == []
    shop.clock.advance(hours=2)
    with shop.tracker.storage.outbox().running(CampaignId("sonneries", "sonneries", "noel")):
        assert shop.tracker.contact.run_due(shop.gateway) == []
    (progress,) = shop.tracker.contact.run_due(shop.gateway)
    assert (progress.name, progress.standing, progress.states) == ("noel", "finished", {"sent": 1})
    standings = {each.name: each.standing for each in shop.tracker.contact.campaigns()}
    assert standings == {"noel": "finished", "a draft": "draft", "a pause": "paused"}


def test_a_timer_sends_what_was_held(shop: Shop) -> None:
    """A campaign of the evening goes on in the morning."""
    populate(shop, ALIAS)
    shop.clock.now = EVENING
    assert shop.campaign().run(shop.gateway).states == {"held": 1}
    assert shop.tracker.contact.run_due(shop.gateway)[0].states == {"held": 1}
    shop.clock.now = MORNING
    assert shop.tracker.contact.run_due(shop.gateway)[0].states == {"sent": 1}
    assert shop.tracker.contact.run_due(shop.gateway) == []


def test_a_timer_runs_the_rest_where_optouts_are_unknown(tmp_path: Path) -> None:
    """Marketing waits until somebody says what became of the earlier opt-outs, and holds up nothing else."""
    shop = Shop("sqlite", tmp_path)
    populate(shop, ALIAS)
    shop.campaign("marketing", starts=shop.now)
    later = shop.campaign("news", starts=shop.now, kind="transactional")
    with pytest.raises(ContactError, match="opt-outs"):
        shop.tracker.contact.run_due(shop.gateway)
    assert later.status().standing == "finished"
    shop.tracker.close()


def test_a_timer_passes_over_what_is_changed_meanwhile(shop: Shop) -> None:
    """By another timer, which may have finished it, or by somebody who cancels it: the others still go."""
    populate(shop, ALIAS)
    shop.campaign("first", starts=shop.now)
    second = shop.campaign("second", starts=shop.now, kind="transactional")
    shop.campaign("third", starts=shop.now, kind="transactional")
    shop.gateway.broken = lambda message: second.cancel()
    ran = shop.tracker.contact.run_due(shop.gateway)
    assert [(each.name, each.standing) for each in ran] == [("first", "finished"), ("third", "finished")]


@pytest.mark.parametrize(
    ("plan", "field"),
    [
        pytest.param({"name": ""}, "name", id="no name"),
        pytest.param({"rate": 0}, "rate", id="no rate"),
        pytest.param({"starts": MORNING, "expires": EVENING}, "expires", id="over before it starts"),
        pytest.param({"sender": "trop long pour un nom"}, "sender", id="a bad sender"),
        pytest.param({"sender": "Sonneries"}, "stop_code", id="an alphanumeric sender without STOP"),
        pytest.param({"kind": "spam"}, "kind", id="no kind"),
    ],
)
def test_a_bad_plan(shop: Shop, plan: dict[str, Any], field: str) -> None:
    """Refused before anything is stored."""
    with pytest.raises(ContactError) as refused:
        shop.campaign(**{"name": "noel", **plan})
    assert refused.value.field == field
    assert shop.tracker.contact.campaigns() == []


def test_an_audience_of_nonsense() -> None:
    """A negative number of orders is an error, not everybody."""
    with pytest.raises(ContactError, match=r"audience\.min_orders"):
        Audience(min_orders=-1)


def test_a_stop_while_a_campaign_runs(shop: Shop) -> None:
    """Who got his STOP acknowledged before his message was judged gets none."""
    populate(shop, *PEOPLE)
    stopped: dict[str, int] = {}
    going = threading.Event()

    def stop() -> None:
        going.wait()
        for alias in reversed(PEOPLE):
            shop.tracker.receive_sms(alias, PULL, "STOP", at=shop.now, message_id=f"stop{alias}")
            stopped[alias] = len(shop.gateway.sent)

    thread = threading.Thread(target=stop)
    thread.start()
    shop.gateway.broken = lambda message: going.set()
    progress = shop.campaign().run(shop.gateway)
    thread.join()
    places = {message.receiver: place for place, message in enumerate(shop.gateway.sent)}
    # at most the one being handed over while the STOP was acknowledged stands behind it
    assert all(places[alias] <= stopped[alias] for alias in PEOPLE if alias in places)
    assert sum(progress.states.values()) == len(PEOPLE)


def _run(storage: str, folder: Path, log: Path, killed_at: int) -> None:
    shop = Shop(storage, folder)

    def note(message: Outgoing) -> None:
        with log.open("a") as file:
            file.write(message.receiver + "\n")
            file.flush()
        if len(log.read_text().splitlines()) == killed_at:
            os.kill(os.getpid(), signal.SIGKILL)

    shop.gateway.broken = note
    shop.campaign().run(shop.gateway)


@pytest.mark.parametrize("kind", EVERY_STORAGE[1:])
def test_killed_in_the_middle(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """kill -9 while a message is with the gateway, again and again: nobody gets two, nobody is lost silently."""
    storage = url_of(kind, tmp_path, request)
    shop = Shop(storage, tmp_path)
    shop.tracker.contact.declare_no_prior_optouts()
    populate(shop, *PEOPLE[:12])
    shop.tracker.close()
    log = tmp_path / "gateway.log"
    for killed_at in (1, 4, 5, 9, 0):
        run = multiprocessing.get_context("fork").Process(target=_run, args=(storage, tmp_path, log, killed_at))
        run.start()
        run.join(60)
        assert run.exitcode == (-signal.SIGKILL if killed_at else 0)
    got = log.read_text().splitlines()
    assert sorted(got) == PEOPLE[:12]
    assert shop.campaign().status().states == {"sent": 8, "uncertain": 4}
    shop.tracker.close()


def test_two_do_not_run_one_campaign(shop: Shop) -> None:
    """The second is told, and sends nothing."""
    populate(shop, ALIAS)
    refused: list[str] = []

    def run_again(message: Outgoing) -> None:
        with pytest.raises(StorageUnavailable) as locked:
            shop.campaign().run(shop.gateway)
        refused.append(locked.value.reason)

    shop.gateway.broken = run_again
    shop.campaign().run(shop.gateway)
    assert refused == ["locked"]
    assert shop.gateway.receivers() == [ALIAS]


def test_an_erased_visitor_keeps_no_campaign_waiting(shop: Shop) -> None:
    """What was held for him is cancelled and counted so; the campaign ends with the others' messages."""
    populate(shop, ALIAS, OTHER_ALIAS)
    shop.clock.now = EVENING
    campaign = shop.campaign()
    assert campaign.run(shop.gateway).states == {"held": 2}
    shop.tracker.storage.erase("sonneries", ALIAS, to_micros(shop.now))
    assert campaign.status().states == {"held": 1, "cancelled": 1}
    shop.clock.now = MORNING
    progress = campaign.run(shop.gateway)
    assert (progress.standing, progress.states) == ("finished", {"sent": 1, "cancelled": 1})
    assert progress.reasons == {"erased": 1}


def test_a_message_that_comes_back_to_a_cancelled_campaign_ends_with_it(shop: Shop) -> None:
    """The gateway was busy while somebody cancelled: nothing is left waiting for a run that never comes."""
    populate(shop, ALIAS, OTHER_ALIAS)
    campaign = shop.campaign()

    def cancel_and_refuse(message: Outgoing) -> None:
        campaign.cancel()
        raise NotAccepted(reason="busy", temporary=True)

    shop.gateway.broken = cancel_and_refuse
    progress = campaign.run(shop.gateway)
    assert (progress.standing, progress.states) == ("cancelled", {"cancelled": 2})
