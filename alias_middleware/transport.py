"""What carries a message to a visitor's phone, as a protocol: Kannel, a file for trials, an MMS centre."""

from __future__ import annotations

from typing import Protocol

import msgspec

from alias_middleware.discreet import Discreet


class Outgoing(Discreet, msgspec.Struct, frozen=True):
    """One message on its way out.

    `message_id` is opaque and unique: a delivery report names the message by it, and by nothing else. `receiver`
    is the alias, `sender` a short code or an alphanumeric name, `text` what the visitor reads, with STOP mention.
    """

    message_id: str
    receiver: str
    sender: str
    text: str

    def __repr__(self) -> str:  # the receiver is an alias
        return f"<Outgoing {self.message_id} from {self.sender}>"


class Transport(Protocol):
    """A gateway that takes messages, one at a time."""

    def send(self, message: Outgoing) -> None:
        """Hand over a message; when this returns the gateway has accepted it, which is not yet delivery.

        Raises:
            NotAccepted: the gateway has certainly not taken it; `temporary` where it may take it later.
            Exception: of any other kind, nobody knows: the message is not sent again.
        """
