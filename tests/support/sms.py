"""A service with short codes: its tracker, its visitors, and a gateway that keeps what it is given."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from alias_middleware import Item, Tracker
from alias_middleware.contact import Kind, ShortCode
from alias_middleware.transport import Outgoing
from tests.support.postgresql import KEY
from tests.support.site import Clock

SUBSCRIPTION = "36123"
PULL = "36124"
CODES: dict[Any, ShortCode] = {
    SUBSCRIPTION: ShortCode(service="sonneries", offer="premium_push"),
    PULL: ShortCode(service="sonneries", offer="light_pull"),
    ("36125", "JEU"): ShortCode(service="sonneries", offer="premium_express"),
}


class Gateway:
    """Keeps what it is given; `broken`, when set, is called first and may raise."""

    def __init__(self) -> None:
        self.sent: list[Outgoing] = []
        self.broken: Callable[[Outgoing], object] = lambda message: None

    def send(self, message: Outgoing) -> None:
        self.broken(message)
        self.sent.append(message)

    def receivers(self) -> list[str]:
        return sorted(message.receiver for message in self.sent)


class Shop:
    """A service that sells and writes to its visitors."""

    def __init__(self, storage: str, folder: Path, **settings: Any) -> None:
        """Sell with the storage of a URL, or with `memory` or `sqlite` of the folder's own."""
        if storage.startswith("postgresql:"):
            settings.setdefault("secret_keys", [KEY])
        own = {"memory": "memory://", "sqlite": f"sqlite:///{folder}/alias.db"}
        self.clock = Clock()
        self.gateway = Gateway()
        self.tracker = Tracker(
            clock=self.clock,
            service="sonneries",
            storage=own.get(storage, storage),
            spool=folder / "spool",
            trusted_gateways=["10.12.0.0/16"],
            writer="external",
            raise_errors=True,
            short_codes=CODES,
            **settings,
        )
        self._messages = 0

    @property
    def now(self) -> datetime:
        """The moment of the shop's clock."""
        return self.clock.now

    def write(self, alias: str, text: str, code: str = PULL, *, ago: timedelta = timedelta(0), **more: Any) -> Any:
        """Let a visitor write to a short code."""
        self._messages += 1
        message = {"at": self.now - ago, "message_id": f"m{self._messages}", **more}
        reception = self.tracker.receive_sms(alias, code, text, **message)
        self.tracker.flush()
        return reception

    def buy(self, *aliases: str) -> None:
        """Let visitors buy something."""
        for alias in aliases:
            with self.tracker.visitor(alias) as visitor:
                visitor.purchase(f"CMD-{alias}", [Item("rt-42", "Sonnerie", price=Decimal(3))], currency="EUR")
        self.tracker.flush()

    def objections(
        self, alias: str, offer: str = "light_pull", *, kind: Kind = "marketing", sender: str = PULL
    ) -> Any:
        """The decision about a message now, and what is against it."""
        verdict = self.tracker.contact.verdict(alias, offer=offer, kind=kind, sender=sender)
        return verdict.decision, [reason.name for reason in verdict.objections]

    def campaign(self, name: str = "noel", **plan: Any) -> Any:
        """A campaign to everybody, under the offer that a message of the last 60 days opens."""
        usual = {"offer": "light_pull", "kind": "marketing", "sender": PULL, "text": "Bonjour"}
        return self.tracker.contact.campaign(name, **{**usual, **plan})
