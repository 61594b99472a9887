"""Messages made from what they are to say: the questions that either side asks, and their answers.

Numbers for `trn` are the sender's to give, with `msgspec.structs.replace`: those made here have number 0.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from alias_middleware import gsm
from alias_middleware.errors import UcpError
from alias_middleware.smsplus.ucp.content import Part, write_text, write_time
from alias_middleware.smsplus.ucp.layout import ADDRESS, ALPHANUMERIC, ErrorCode, Operation
from alias_middleware.smsplus.ucp.message import Message


def submit(text: str, *, adc: str, oadc: str, reference: int = 0, notify: bool = False) -> list[Message]:
    """The messages that take a text to a subscriber: operation 51, one for each part.

    Args:
        text: of any length; what the GSM alphabet does not have makes all parts UCS-2.
        adc: the subscriber, by alias or number.
        oadc: the sender: a number, or a name of at most 11 characters of the GSM alphabet.
        reference: what the parts of this text share, 0 to 65535, and texts sent about the same time do not.
        notify: whether a notification is asked for, of delivery and of failure.

    Raises:
        UcpError: the text takes more than 255 parts.
    """
    asked = {"nrq": "1", "nt": "3"} if notify else {}
    return _messages(Operation.SUBMIT, text, reference, adc=adc, **_sender(oadc), **asked)


def deliver(text: str, *, adc: str, oadc: str, at: datetime, reference: int = 0) -> list[Message]:
    """The messages that bring a subscriber's text: operation 52, the SMS-MO, one for each part.

    `adc` is the short code, `oadc` the alias, `at` a moment in the SMSC's time zone; the rest is as in `submit`.
    """
    return _messages(Operation.DELIVER, text, reference, adc=adc, **_sender(oadc), scts=write_time(at))


def notify(
    *, adc: str, oadc: str, submitted_at: datetime, at: datetime, status: int, reason: int = 0, text: str = ""
) -> Message:
    """What became of a submitted message: operation 53.

    Args:
        adc: who submitted it.
        oadc: the subscriber it was for.
        submitted_at: when the SMSC took it, as its answer said, in the SMSC's time zone.
        at: when this became of it, in the same zone.
        status: 0 delivered, 1 buffered, 2 not delivered.
        reason: why not, as the SMSC numbers it.
        text: the same in words.
    """
    return Message(
        operation=Operation.NOTIFY,
        adc=adc,
        oadc=oadc,
        scts=write_time(submitted_at),
        dst=str(status),
        rsn=f"{reason:03}",
        dscts=write_time(at),
        **write_text(text)._asdict(),
    )


def login(oadc: str, password: str) -> Message:
    """The opening of a session: operation 60. Raises `UcpError` for a password outside the GSM alphabet."""
    return Message(
        operation=Operation.LOGIN, oadc=oadc, oton="6", onpi="5", styp="1", pwd=_password(password), vers="0100"
    )


def alert(adc: str, pid: str = "0539") -> Message:
    """The sign of life that keeps a session open: operation 31."""
    return Message(operation=Operation.ALERT, adc=adc, pid=pid)


def accept(message: Message, sm: str = "") -> Message:
    """The answer that takes a message over; `sm` is what the system says of it, such as AdC:SCTS."""
    return Message(operation=message.operation, trn=message.trn, is_response=True, ack="A", sm=sm)


def refuse(message: Message, code: int, sm: str = "") -> Message:
    """The answer that refuses a message, with one of the `ErrorCode`."""
    return Message(operation=message.operation, trn=message.trn, is_response=True, ack="N", ec=f"{code:02}", sm=sm)


def _messages(operation: Operation, text: str, reference: int, **fields: Any) -> list[Message]:
    texts = gsm.segments(text)
    if len(texts) == 1:
        return [Message(operation=operation, **write_text(text)._asdict(), **fields)]
    in_gsm = gsm.is_gsm(text)
    parts = (Part(reference, len(texts), number) for number, _ in enumerate(texts, 1))
    return [
        Message(operation=operation, **write_text(one, part, in_gsm=in_gsm)._asdict(), **fields)
        for one, part in zip(texts, parts, strict=True)
    ]


def _sender(oadc: str) -> dict[str, str]:
    return {"oadc": oadc, "otoa": "" if ADDRESS.fullmatch(oadc) else ALPHANUMERIC}


def _password(password: str) -> str:
    if not gsm.is_gsm(password):
        raise UcpError("a password outside the GSM alphabet", code=ErrorCode.SYNTAX, field="pwd")
    return gsm.encode(password).hex().upper()
