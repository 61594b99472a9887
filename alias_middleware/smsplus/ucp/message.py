"""`Message`: one UCP frame as its fields, and what they mean."""

from __future__ import annotations

from datetime import datetime, tzinfo

import msgspec

from alias_middleware.discreet import Discreet
from alias_middleware.smsplus.ucp.content import Part, read_part, read_text, read_time
from alias_middleware.smsplus.ucp.layout import GSM, TRANSPARENT, Operation


class Message(Discreet, msgspec.Struct, frozen=True, kw_only=True, repr_omit_defaults=True):
    """One frame. Its fields are named and written as in the specification; those it has not are empty.

    `adc` is the short code that a subscriber's message was sent to, and `oadc` who sent it: the alias. Two fields
    are easier to use than as they are sent: an `oadc` of type 5039 is the sender's name, and `text` reads `msg`.

    Attributes:
        trn: the number by which an answer finds its question, 0 to 99.
        ack: ``"A"`` in an answer that accepts, ``"N"`` in one that refuses with the error code `ec`.
        scts: when the SMSC took the message, DDMMYYhhmmss; `received_at` reads it.
        msg: the message as it was sent, in digits; `text` and `data` read it.
    """

    operation: Operation
    trn: int = 0
    is_response: bool = False
    ack: str = ""
    ec: str = ""
    mvp: str = ""
    sm: str = ""
    adc: str = ""
    oadc: str = ""
    ac: str = ""
    nrq: str = ""
    nadc: str = ""
    nt: str = ""
    npid: str = ""
    lrq: str = ""
    lrad: str = ""
    lpid: str = ""
    dd: str = ""
    ddt: str = ""
    vp: str = ""
    rpid: str = ""
    scts: str = ""
    dst: str = ""
    rsn: str = ""
    dscts: str = ""
    mt: str = ""
    nb: str = ""
    msg: str = ""
    mms: str = ""
    pr: str = ""
    dcs: str = ""
    mcls: str = ""
    rpi: str = ""
    cpg: str = ""
    rply: str = ""
    otoa: str = ""
    hplmn: str = ""
    xser: str = ""
    res4: str = ""
    res5: str = ""
    pid: str = ""
    oton: str = ""
    onpi: str = ""
    styp: str = ""
    pwd: str = ""
    npwd: str = ""
    vers: str = ""
    ladc: str = ""
    lton: str = ""
    lnpi: str = ""
    opid: str = ""
    res1: str = ""

    def __repr__(self) -> str:
        # Addresses are aliases, texts are private, and a login has a password: none of them belongs in a log.
        kind = {"A": ", accepted", "N": f", refused with {self.ec}"}.get(self.ack, "")
        return f"Message({self.operation.name} {self.operation:02}, trn={self.trn:02}{kind})"

    @property
    def text(self) -> str:
        """The message in characters; empty where there is none, or octets that are no text (`data` has them)."""
        return read_text(self.mt, self.msg, self.xser)

    @property
    def data(self) -> bytes:
        """The message in octets, septets one to an octet; empty where it is made of digits."""
        return bytes.fromhex(self.msg) if self.mt in (GSM, TRANSPARENT) else b""

    @property
    def part(self) -> Part | None:
        """Which part of a long text this is; None for a message of its own."""
        return read_part(self.xser) if self.xser else None

    @property
    def password(self) -> str:
        """The password of a login."""
        return read_text(GSM, self.pwd, "")

    def received_at(self, zone: tzinfo) -> datetime | None:
        """When the SMSC took the message by `scts`, its clock standing in `zone`; None where it does not say."""
        return read_time(self.scts, zone, field="scts") if self.scts else None

    def delivered_at(self, zone: tzinfo) -> datetime | None:
        """When the message of a notification arrived by `dscts`, its clock standing in `zone`."""
        return read_time(self.dscts, zone, field="dscts") if self.dscts else None
