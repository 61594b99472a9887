"""EMI-UCP, the protocol between an operator's SMSC and those who send and receive short messages.

A pure codec of frames: no socket, no clock. `parse` and `encode` turn bytes into a `Message` and back; `cut` finds
the frames in a stream; `submit`, `deliver`, `login`, ... make messages, `accept` and `refuse` their answers; a
`Reassembler` joins the parts of a long text. Source: EMI-UCP interface specification 4.0.
"""

from __future__ import annotations

from alias_middleware.errors import UcpError
from alias_middleware.smsplus.ucp.concatenation import LongMessage, Reassembler
from alias_middleware.smsplus.ucp.content import Part
from alias_middleware.smsplus.ucp.frame import cut, encode, parse, refuse_frame
from alias_middleware.smsplus.ucp.layout import ErrorCode, Operation
from alias_middleware.smsplus.ucp.making import accept, alert, deliver, login, notify, refuse, submit
from alias_middleware.smsplus.ucp.message import Message

__all__ = [
    "ErrorCode",
    "LongMessage",
    "Message",
    "Operation",
    "Part",
    "Reassembler",
    "UcpError",
    "accept",
    "alert",
    "cut",
    "deliver",
    "encode",
    "login",
    "notify",
    "parse",
    "refuse",
    "refuse_frame",
    "submit",
]
