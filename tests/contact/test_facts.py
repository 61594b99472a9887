"""What a STOP leaves behind, and what that forbids."""

from __future__ import annotations

import pytest

from alias_middleware.contact import suppressions_of_stop, verdict
from alias_middleware.profile import Consent
from tests.contact.situations import (
    NOON,
    OPERATOR,
    PUSH,
    ago,
    facts,
    stop,
)


@pytest.mark.parametrize(
    ("everywhere", "service", "services"),
    [
        pytest.param(False, "sonneries", "sonneries", id="of one service"),
        pytest.param(False, None, None, id="to an unmapped short code"),
        pytest.param(True, "sonneries", None, id="STOPALL"),
    ],
)
def test_what_an_opt_out_forbids(everywhere: bool, service: str | None, services: str | None) -> None:
    """Marketing everywhere until new consent, and the service's own messages until the visitor writes again."""
    made = suppressions_of_stop("opt_out", everywhere=everywhere, service=service, time_us=ago(5))
    assert [(each.scope, each.service, each.channel) for each in made] == [
        ("service", services, "sms"),
        ("marketing", None, "sms"),
    ]
    assert verdict(facts(suppressions=made), OPERATOR, NOON).decision == "refuse"
    wrote_again = facts(suppressions=made, last_message_us=ago(1))
    assert [each.name for each in verdict(wrote_again, OPERATOR, NOON).objections] == ["opted_out"]
    consents = facts(suppressions=made, last_message_us=ago(1), consent=Consent(True, ago(1), "page"))
    assert verdict(consents, OPERATOR, NOON).decision == "send"


def test_what_an_unsubscription_forbids() -> None:
    """The service's messages, and not the one re-contact."""
    made = suppressions_of_stop("unsubscription", everywhere=False, service="sonneries", time_us=ago(10))
    assert made == (stop("unsubscription", 10),)
    assert verdict(facts(**PUSH, suppressions=made), OPERATOR, NOON).decision == "send"
