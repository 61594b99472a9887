"""Every rule that can speak in a verdict, one at a time."""

from __future__ import annotations

from typing import Any

import pytest

from alias_middleware.contact import RULES, FrequencyCap, Mo, Received, verdict
from alias_middleware.local_time import from_micros
from alias_middleware.profile import Consent
from tests.contact.situations import (
    DAY_US,
    GALLERY,
    NOON,
    NOW_US,
    OPERATOR,
    PUSH,
    REPLY,
    SERVICE,
    WEEK,
    ago,
    facts,
    opted_out,
    stop,
)

CASES = [
    # windows of the offers opened by a message
    pytest.param({}, "send", "window_open", ago(10) + 60 * DAY_US - DAY_US // 24, id="a window of 60 days"),
    pytest.param({"offer": "premium_express"}, "send", "window_open", ..., id="Premium Express"),
    pytest.param({"offer": "premium_tribu"}, "send", "window_open", ..., id="Premium Tribu"),
    pytest.param({"offer": "premium_transaction"}, "send", "window_open", ..., id="Premium Transaction"),
    pytest.param({"messages": (Mo(ago(60) + 1),)}, "send", "window_open", NOW_US + 1, id="its last microsecond"),
    pytest.param({"messages": (Mo(ago(60)),)}, "refuse", "window_closed", NOW_US, id="its end"),
    pytest.param(
        {"messages": (Mo(ago(70)), Mo(ago(20)))}, "refuse", "window_closed", ago(10), id="the first counts"
    ),
    pytest.param(
        {"messages": (Mo(ago(90)), Mo(ago(20)))}, "send", "window_open", ..., id="a new one after the last"
    ),
    pytest.param({"messages": ()}, "refuse", "no_window", "light_pull", id="never wrote"),
    pytest.param({"messages": (Mo(ago(-1)),)}, "refuse", "no_window", ..., id="will have written tomorrow"),
    pytest.param({"messages": (Mo(NOW_US),)}, "send", "window_open", ..., id="has just written"),
    # windows of the other offers
    pytest.param(PUSH, "send", "window_open", ago(10) + 31 * DAY_US, id="31 days after the unsubscription"),
    pytest.param(
        PUSH | {"unsubscribed_us": (ago(31),)}, "refuse", "window_closed", NOW_US, id="the 31st day over"
    ),
    pytest.param(
        PUSH | {"unsubscribed_us": (ago(90), ago(9))}, "send", "window_open", ..., id="the last one counts"
    ),
    pytest.param(PUSH | {"unsubscribed_us": ()}, "refuse", "no_window", "premium_push", id="never unsubscribed"),
    pytest.param(PUSH | {"subscribed": True}, "refuse", "still_subscribed", None, id="subscribed again"),
    pytest.param({"offer": "premium_push"}, "refuse", "no_window", ..., id="a message opens no push window"),
    pytest.param(GALLERY, "send", "window_open", ago(5) + 30 * DAY_US, id="Light Gallery"),
    pytest.param(GALLERY | {"gallery_seen_us": ago(30)}, "refuse", "window_closed", NOW_US, id="seen long ago"),
    pytest.param(GALLERY | {"gallery_seen_us": None}, "refuse", "no_window", ..., id="never seen on Gallery"),
    pytest.param(
        GALLERY | {"light_gallery_days": None}, "refuse", "length_unknown", ..., id="no length configured"
    ),
    pytest.param(GALLERY | {"light_gallery_days": 0}, "refuse", "length_unknown", ..., id="a length of nothing"),
    pytest.param(
        GALLERY | {"common_id": False}, "refuse", "common_id_missing", ..., id="without identifiant commun"
    ),
    pytest.param({"common_id": True}, "refuse", "common_id_unavailable", ..., id="an offer without the option"),
    pytest.param(PUSH | {"common_id": True}, "send", "window_open", ..., id="an offer with the option"),
    # the unknown
    pytest.param({"offer": "premium"}, "refuse", "unknown_offer", "premium", id="an unknown offer"),
    pytest.param({"offer": None}, "refuse", "unknown_offer", None, id="no offer"),
    pytest.param({"zone": "Mars/Olympus"}, "refuse", "unknown_zone", "Mars/Olympus", id="an unknown zone"),
    pytest.param({"zone": None}, "refuse", "unknown_zone", None, id="no zone"),
    pytest.param(SERVICE | {"zone": None}, "refuse", "unknown_zone", None, id="no zone, transactional"),
    # senders
    pytest.param({}, "send", "sender_fits", "36123", id="36xxx with marketing"),
    pytest.param(SERVICE | {"sender": "36123"}, "refuse", "wrong_sender", "36123", id="36xxx with transactional"),
    pytest.param({"sender": "38123"}, "refuse", "wrong_sender", "38123", id="38xxx with marketing"),
    pytest.param({"sender": "81234"}, "refuse", "undeclared_sender", "81234", id="an undeclared short code"),
    pytest.param(
        {"sender": "81234", "sender_kinds": frozenset({"marketing"})},
        "send",
        "sender_fits",
        ...,
        id="a declared one",
    ),
    pytest.param({"sender": "SONNERIES"}, "send", "sender_fits", "SONNERIES", id="a name"),
    pytest.param({"sender": "MES SONNERIES"}, "refuse", "bad_sender", ..., id="a name too long, with a blank"),
    # consent
    pytest.param({}, "send", "client", None, id="a client"),
    pytest.param({"client": False}, "refuse", "no_consent", None, id="neither client nor consenting"),
    pytest.param(
        {"client": False, "consent": Consent(True, ago(3), "page")},
        "send",
        "contact_consent",
        ago(3),
        id="consents",
    ),
    pytest.param(
        {"consent": Consent(False, ago(3), "page")}, "refuse", "no_consent", ago(3), id="a client objects"
    ),
    pytest.param(SERVICE | {"client": False}, "send", "hours_exempt", None, id="transactional needs no consent"),
    # STOP to the service
    pytest.param({"suppressions": (stop("stop", 5),)}, "refuse", "service_stopped", ago(5), id="STOP"),
    pytest.param(
        {"suppressions": (stop("stopall", 5, service=None),)}, "refuse", "service_stopped", ..., id="STOPALL"
    ),
    pytest.param(
        {"suppressions": (stop("stop", 10),)}, "refuse", "service_stopped", ..., id="at the message's moment"
    ),
    pytest.param({"suppressions": (stop("stop", 11),)}, "send", "window_open", ..., id="a message since"),
    pytest.param(
        {"suppressions": (stop("stop", 5),), "last_message_us": ago(4)},
        "send",
        "client",
        ...,
        id="to another offer",
    ),
    pytest.param({"suppressions": (stop("stop", -1),)}, "refuse", "service_stopped", ..., id="a moment too late"),
    pytest.param(
        {"suppressions": (stop("stop", 5, service="jeux"),)}, "send", "client", ..., id="to another service"
    ),
    pytest.param(
        SERVICE | {"suppressions": (stop("stop", 5),)},
        "refuse",
        "service_stopped",
        ...,
        id="service messages, too",
    ),
    # the STOP that ends a subscription
    pytest.param(
        PUSH | {"suppressions": (stop("unsubscription", 10),)},
        "send",
        "recontact_spared",
        ago(10),
        id="one re-contact",
    ),
    pytest.param(
        PUSH | SERVICE | {"suppressions": (stop("unsubscription", 10),)},
        "refuse",
        "service_stopped",
        ago(10),
        id="no service message after the unsubscription",
    ),
    pytest.param(
        {"messages": (Mo(ago(20)),), "suppressions": (stop("unsubscription", 10),)},
        "refuse",
        "service_stopped",
        ago(10),
        id="no re-contact under another offer",
    ),
    pytest.param(PUSH | {"suppressions": (stop("stop", 5),)}, "refuse", "service_stopped", ..., id="a later STOP"),
    # the marketing opt-out
    pytest.param({"suppressions": (opted_out(5),)}, "refuse", "opted_out", ago(5), id="opted out"),
    pytest.param(
        PUSH | {"suppressions": (opted_out(5),)}, "refuse", "opted_out", ..., id="of the re-contact, too"
    ),
    pytest.param({"suppressions": (opted_out(20),)}, "refuse", "opted_out", ..., id="no message lifts it"),
    pytest.param({"suppressions": (opted_out(-1),)}, "refuse", "opted_out", ..., id="opted out a moment too late"),
    pytest.param({"suppressions": (opted_out(500, "import"),)}, "refuse", "opted_out", ..., id="imported"),
    pytest.param(
        {"suppressions": (opted_out(5),), "consent": Consent(True, ago(4), None)},
        "send",
        "contact_consent",
        ...,
        id="lifted",
    ),
    pytest.param(
        {"suppressions": (opted_out(5),), "consent": Consent(True, ago(5), None)},
        "refuse",
        "opted_out",
        ...,
        id="consent of that moment does not lift it",
    ),
    pytest.param(
        SERVICE | {"suppressions": (opted_out(5),)}, "send", "hours_exempt", ..., id="from marketing only"
    ),
    # the frequency cap
    pytest.param({"cap": FrequencyCap(2, WEEK), "sent_us": (ago(3),)}, "send", "below_cap", 1, id="one of two"),
    pytest.param(
        {"cap": FrequencyCap(2, WEEK), "sent_us": (ago(3), ago(1))}, "refuse", "frequency_cap", 2, id="two of two"
    ),
    pytest.param(
        {"cap": FrequencyCap(2, WEEK), "sent_us": (ago(7), ago(1))},
        "send",
        "below_cap",
        1,
        id="a week ago is over",
    ),
    pytest.param({"cap": FrequencyCap(0, WEEK)}, "refuse", "frequency_cap", 0, id="a cap of nothing"),
    pytest.param(
        SERVICE | {"cap": FrequencyCap(0, WEEK)}, "send", "hours_exempt", ..., id="service messages are not capped"
    ),
    # hours
    pytest.param({}, "send", "allowed_hours", None, id="at noon"),
    pytest.param(SERVICE, "send", "hours_exempt", None, id="transactional at noon"),
    # service messages of a subscription
    pytest.param(
        SERVICE | PUSH | {"unsubscribed_us": (), "subscribed": True}, "send", "subscribed", None, id="a subscriber"
    ),
    pytest.param(SERVICE | {"messages": ()}, "refuse", "no_window", ..., id="transactional without a window"),
    # replies
    pytest.param(
        REPLY | {"reply_to": Received("36123", ago(0.5))}, "send", "answers_message", ago(0.5), id="a reply"
    ),
    pytest.param(
        REPLY | {"reply_to": Received("81234", ago(0.5)), "sender": "81234", "zone": None},
        "send",
        "answers_message",
        ...,
        id="from any short code, in any zone",
    ),
    pytest.param(
        REPLY | {"reply_to": Received("36123", ago(0)), "suppressions": (stop("stop", 0), opted_out(0))},
        "send",
        "answers_message",
        ...,
        id="the confirmation of a STOP",
    ),
    pytest.param(REPLY, "refuse", "nothing_to_answer", None, id="a reply to nothing"),
    pytest.param(
        REPLY | {"reply_to": Received("36124", ago(0.5))}, "refuse", "other_short_code", "36123", id="another code"
    ),
    pytest.param(
        REPLY | {"reply_to": Received("36123", ago(1))}, "refuse", "reply_too_late", NOW_US, id="a day late"
    ),
    pytest.param(
        REPLY | {"reply_to": Received("36123", ago(1) + 1)}, "send", "answers_message", ..., id="just in time"
    ),
]


@pytest.mark.parametrize(("changes", "decision", "name", "value"), CASES)
def test_each_rule(changes: dict[str, Any], decision: str, name: str, value: object) -> None:
    """At noon on a Tuesday under `fr-operator`: the decision, the rule that matters, and what it found."""
    judged = verdict(facts(**changes), OPERATOR, NOON)
    assert judged.decision == decision, judged.reasons
    assert judged.until is None
    spoken = {reason.name: reason for reason in judged.reasons}
    assert spoken[name].decision == ("send" if decision == "send" else "refuse")
    if value is not ...:
        assert spoken[name].value == (from_micros(value) if type(value) is int and value > 10**12 else value)
    if decision == "refuse":
        assert [reason.name for reason in judged.objections] == [name]


def test_every_rule_has_its_case() -> None:
    """A rule joins the table when it joins the list; quiet hours have tests of their own."""
    assert {case.values[2] for case in CASES} == RULES.keys() - {"quiet_hours"}
