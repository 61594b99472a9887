"""The verdict: what outweighs what, what is held and judged again, and that nothing unknown is ever sent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alias_middleware.contact import (
    OFFERS,
    RULES,
    Facts,
    FrequencyCap,
    Mo,
    Received,
    Suppression,
    next_allowed,
    policy,
    verdict,
)
from alias_middleware.errors import ContactError
from alias_middleware.local_time import to_micros
from alias_middleware.profile import Consent
from tests.contact.situations import (
    DAY_US,
    NOON,
    NOW_US,
    OPERATOR,
    PARIS,
    PUSH,
    REPLY,
    SERVICE,
    WEEK,
    ago,
    facts,
    opted_out,
    stop,
)

SPARING_NOBODY = msgspec.structs.replace(OPERATOR, stop_suppresses_recontact=True)
RENEWING = msgspec.structs.replace(OPERATOR, renew_on="mo")


@pytest.mark.parametrize(
    ("at", "until", "why"),
    [
        pytest.param("2026-03-03T22:00", "2026-03-04T08:00", "22:00, outside 08:00 to 22:00", id="at night"),
        pytest.param("2026-03-08T12:00", "2026-03-09T08:00", "Sunday", id="on a Sunday"),
        pytest.param("2026-04-06T12:00", "2026-04-07T08:00", "Easter Monday", id="on a holiday"),
    ],
)
def test_quiet_hours_hold(at: str, until: str, why: str) -> None:
    """The verdict says until when, and whose hours these are."""
    moment, release = (datetime.fromisoformat(each).replace(tzinfo=PARIS) for each in (at, until))
    judged = verdict(facts(messages=(Mo(to_micros(moment) - DAY_US),)), OPERATOR, moment)
    assert (judged.decision, judged.until) == ("hold", release)
    assert [(each.name, each.source, each.value) for each in judged.objections] == [
        ("quiet_hours", OPERATOR.source, why)
    ]


@pytest.mark.parametrize(
    "changes", [SERVICE, REPLY | {"reply_to": Received("36123", NOW_US)}], ids=["service", "reply"]
)
def test_other_kinds_have_no_hours(changes: dict[str, Any]) -> None:
    """Transactional messages and replies go out at night."""
    night = NOON + timedelta(hours=11)
    assert verdict(facts(**changes), OPERATOR, night).decision == "send"


def test_a_refusal_outweighs_a_hold_and_all_is_told() -> None:
    """Everything against the message is listed, so that it is counted and mended once."""
    judged = verdict(
        facts(offer="premium", zone="Nowhere", sender="38123", client=False, suppressions=(opted_out(1),)),
        OPERATOR,
        NOON + timedelta(hours=11),
    )
    assert (judged.decision, judged.until) == ("refuse", None)
    assert {each.name for each in judged.objections} == {
        "unknown_offer", "unknown_zone", "wrong_sender", "no_consent", "opted_out", "quiet_hours",
    }  # fmt: skip


def test_a_held_message_is_judged_again() -> None:
    """Held on the window's last evening, or stopped over night: the morning refuses it."""
    evening = datetime(2026, 3, 3, 23, tzinfo=PARIS)
    last_day = facts(messages=(Mo(to_micros(evening) - 60 * DAY_US + 1),))
    held = verdict(last_day, OPERATOR, evening)
    assert (held.decision, held.until) == ("hold", datetime(2026, 3, 4, 8, tzinfo=PARIS))
    assert held.until is not None
    assert verdict(last_day, OPERATOR, held.until).decision == "refuse"
    stopped = facts(suppressions=(stop("stop", -0.5),))
    assert verdict(stopped, OPERATOR, held.until).decision == "refuse"


def test_the_policy_may_let_stop_forbid_the_recontact() -> None:
    """`stop_suppresses_recontact` is the publisher's choice; by default the operator's window stands."""
    unsubscribed = facts(**PUSH, suppressions=(stop("unsubscription", 10),))
    assert verdict(unsubscribed, OPERATOR, NOON).decision == "send"
    assert verdict(unsubscribed, SPARING_NOBODY, NOON).decision == "refuse"


def test_the_policy_says_what_renews_a_window() -> None:
    """With `renew_on="mo"` the latest message counts."""
    wrote_twice = facts(messages=(Mo(ago(70)), Mo(ago(20))))
    assert verdict(wrote_twice, OPERATOR, NOON).decision == "refuse"
    assert verdict(wrote_twice, RENEWING, NOON).decision == "send"


def test_windows_and_hours_have_their_own_clocks() -> None:
    """Windows are counted in the service's zone, hours in the policy's."""
    reunion = policy("fr-operator", territory="la-reunion")
    early = datetime(2026, 4, 14, 7, tzinfo=PARIS)  # 09:00 in La Réunion
    opened = to_micros(datetime(2026, 2, 13, 7, 30, tzinfo=PARIS))  # so it closes at 07:30, not at 08:30
    judged = verdict(facts(messages=(Mo(opened),)), reunion, early)
    assert judged.decision == "send"
    assert judged.reasons[1].value == datetime(2026, 4, 14, 7, 30, tzinfo=PARIS).astimezone(UTC)


def test_a_naive_moment_is_refused() -> None:
    """A datetime without a zone names no instant."""
    with pytest.raises(ContactError, match="names no instant"):
        verdict(facts(), OPERATOR, datetime(2026, 3, 3, 12))  # noqa: DTZ001 - that is the point


def test_an_unknown_kind_is_refused() -> None:
    """No rule fits a kind that nobody defined."""
    with pytest.raises(ContactError) as refused:
        verdict(facts(kind="promo"), OPERATOR, NOON)
    assert refused.value.field == "kind"


def test_a_verdict_can_be_written_as_json() -> None:
    """A command prints it, a campaign keeps it: names, sources and values."""
    written = msgspec.json.decode(msgspec.json.encode(verdict(facts(client=False), OPERATOR, NOON)))
    assert written["decision"] == "refuse"
    assert {"name": "no_consent", "source": "CPCE L34-5", "value": None, "decision": "refuse"} in written[
        "reasons"
    ]


# -- properties ------------------------------------------------------------------------------------------------

times = st.integers(ago(120), NOW_US + DAY_US)
suppressions = st.builds(
    Suppression,
    scope=st.sampled_from(["service", "marketing"]),
    reason=st.sampled_from(["stop", "unsubscription", "stopall", "import"]),
    channel=st.just("sms"),
    time_us=times,
    service=st.sampled_from([None, "sonneries", "jeux"]),
)
any_facts = st.builds(
    Facts,
    service=st.just("sonneries"),
    offer=st.sampled_from([*OFFERS, "premium", None]),
    kind=st.sampled_from(["marketing", "transactional", "reply"]),
    sender=st.sampled_from(["36123", "38123", "SITE", "81234", "un site"]),
    zone=st.sampled_from(["Europe/Paris", "Indian/Reunion", "Nowhere", None]),
    reply_to=st.none() | st.builds(Received, st.sampled_from(["36123", "38123"]), times),
    common_id=st.booleans(),
    light_gallery_days=st.none() | st.integers(0, 90),
    cap=st.none() | st.builds(FrequencyCap, st.integers(0, 3), st.just(WEEK)),
    messages=st.lists(st.builds(Mo, times, st.booleans()), max_size=4).map(tuple),
    unsubscribed_us=st.lists(times, max_size=2).map(tuple),
    subscribed=st.booleans(),
    gallery_seen_us=st.none() | times,
    consent=st.none() | st.builds(Consent, st.booleans(), times, st.none()),
    client=st.booleans(),
    suppressions=st.lists(suppressions, max_size=3).map(tuple),
    sent_us=st.lists(times, max_size=3).map(tuple),
)
moments = st.datetimes(datetime(2026, 2, 1), datetime(2026, 4, 1), timezones=st.just(PARIS))  # noqa: DTZ001


@given(any_facts, moments)
def test_the_decision_follows_from_the_reasons(known: Facts, at: datetime) -> None:
    """One refusal refuses, else one hold holds; a hold ends at the next allowed moment; every rule is listed."""
    judged = verdict(known, OPERATOR, at)
    said = {reason.decision for reason in judged.reasons}
    assert judged.decision == ("refuse" if "refuse" in said else "hold" if "hold" in said else "send")
    assert judged.until == (next_allowed(at, OPERATOR) if judged.decision == "hold" else None)
    assert all(RULES[reason.name].decision == reason.decision for reason in judged.reasons)


@given(any_facts, moments, suppressions)
def test_a_suppression_never_helps(known: Facts, at: datetime, more: Suppression) -> None:
    """One more suppression takes no refusal away, but for the window that a message opens anew after a STOP."""
    stopped = msgspec.structs.replace(known, suppressions=(*known.suppressions, more))
    before, after = (
        {reason.name for reason in verdict(judged, OPERATOR, at).reasons if reason.decision == "refuse"}
        for judged in (known, stopped)
    )
    assert before - {"window_closed"} <= after


@given(any_facts, moments)
def test_marketing_is_never_sent_without_what_it_needs(known: Facts, at: datetime) -> None:
    """Whatever the facts, marketing that is sent has an offer, a zone, an hour, and consent or a purchase."""
    judged = verdict(known, OPERATOR, at)
    if known.kind == "marketing" and judged.decision == "send":
        assert known.offer in OFFERS
        assert known.zone in {"Europe/Paris", "Indian/Reunion"}
        assert next_allowed(at, OPERATOR) == at
        assert known.consent.granted if known.consent else known.client
        assert {"window_open"} <= {reason.name for reason in judged.reasons}
