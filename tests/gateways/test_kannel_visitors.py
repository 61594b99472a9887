"""From a phone to its visitor's history, a campaign to his phone, his STOP: SMSC, Kannel and tracker in a row."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path

import pytest

from alias_middleware.events import Message
from alias_middleware.smsplus import ucp
from alias_middleware.smsplus.endpoint import KannelEndpoint
from alias_middleware.smsplus.kannel import KannelTransport
from tests.support.kannel import ACCOUNT, PASSWORD, SECRET, running_kannel
from tests.support.servers import waitress_server
from tests.support.sms import PULL, Shop
from tests.support.smsc import Smsc, running_smsc
from tests.support.waiting import PATIENCE, wait_until

ALIAS = "314522927347"


def received(shop: Shop) -> list[str]:
    """What the visitor's history has of his messages, latest first."""
    assert shop.tracker.flush(PATIENCE)
    history = shop.tracker.visitor(ALIAS).history()
    return [event.text for event in history if isinstance(event, Message)]


def write(smsc: Smsc, shop: Shop, text: str) -> None:
    """Let the visitor's phone write to the short code, and wait until it is in his history."""
    smsc.deliver(*ucp.deliver(text, adc=PULL, oadc=ALIAS, at=shop.now.astimezone(UTC)))
    wait_until(lambda: text in received(shop), "the message is in the history")


@pytest.mark.parametrize("storage", ["memory", "sqlite"])
def test_a_visitor_is_written_to_until_he_says_stop(storage: str, tmp_path: Path) -> None:
    """His message opens a window, a campaign reaches his phone and learns so, his STOP ends it."""
    shop = Shop(storage, tmp_path)
    contact = shop.tracker.contact
    endpoint = KannelEndpoint(
        shop.tracker, secret=SECRET, trusted_gateways=["127.0.0.1"], zone=UTC, reporter=contact
    )
    contact.declare_no_prior_optouts()
    with (
        running_smsc(ACCOUNT, PASSWORD) as smsc,
        waitress_server(endpoint.wsgi) as port,
        running_kannel(tmp_path, smsc, port) as kannel,
        KannelTransport(
            f"http://127.0.0.1:{kannel.sendsms_port}/cgi-bin/sendsms",
            username="sonneries",
            password=PASSWORD,
            reports_to=f"http://kannel:{SECRET}@127.0.0.1:{port}/smsplus/kannel/report",
        ) as transport,
    ):
        write(smsc, shop, "Météo à 3 €")
        shop.buy(ALIAS)
        first = shop.campaign("first", text="Été : 3 €")
        first.run(transport)
        (message,) = smsc.submitted(1)
        assert (message.adc, message.oadc, message.text) == (ALIAS, PULL, f"Été : 3 € STOP {PULL}")
        smsc.report(message, status=0)
        wait_until(lambda: first.status().states.get("delivered") == 1, "the campaign knows of the delivery")
        write(smsc, shop, "STOP")
        second = shop.campaign("second")
        second.run(transport)
        assert second.status().states == {"refused": 1}
        assert len(smsc.asked(ucp.Operation.SUBMIT)) == 1
    shop.tracker.close()
