"""Frames: from bytes to a `Message` and back, and from a stream of bytes to frames.

``STX TRN/LEN/O|R/OT/data/CHK ETX``: LEN counts the characters between STX and ETX, CHK is the sum of all up to the
last slash, modulo 256.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from operator import attrgetter
from typing import Any, Final, NoReturn

import msgspec

from alias_middleware.errors import UcpError
from alias_middleware.smsplus.ucp.content import check_content, read_name, read_time, write_name
from alias_middleware.smsplus.ucp.layout import (
    ADDRESS,
    ALPHANUMERIC,
    LAYOUTS,
    LONGEST_MESSAGE,
    ErrorCode,
    Layout,
    Operation,
)
from alias_middleware.smsplus.ucp.message import Message

STX: Final = b"\x02"
ETX: Final = b"\x03"
LONGEST_FRAME: Final = (
    4096  # octets between STX and ETX; the longest message with every field full stays under 2,500
)

_HEADER = re.compile(rb"([0-9]{2})/([0-9]{5})/([OR])/([0-9]{2})/(.*)/([^/]{2})", re.DOTALL)
_OPERATIONS = {b"%02d" % operation: operation for operation in Operation}
_ASKS = "O"
_VALUES = {kind: attrgetter(*layout.names) for kind, layout in LAYOUTS.items()}


def parse(frame: bytes) -> Message:
    """Read one frame, with STX and ETX or without both.

    Raises:
        UcpError: it is no frame of UCP, damaged, or of an operation that is not understood here. Its `code` is
            what to refuse it with, see `refuse_frame`.
    """
    inner = frame[1:-1] if frame[:1] == STX and frame[-1:] == ETX and len(frame) > 1 else frame
    header = _HEADER.fullmatch(inner) if len(inner) <= LONGEST_FRAME else None
    if header is None:
        raise UcpError("no frame: TRN/LEN/O|R/OT/data/CHK", code=ErrorCode.SYNTAX, field="header")
    trn, length, kind, operation, data, checksum = header.groups()
    try:
        _check_sums(inner, length, checksum)
        if (known := _OPERATIONS.get(operation)) is None:
            raise UcpError("an operation unknown here", code=ErrorCode.UNSUPPORTED_OPERATION, field="ot")
        return _message(known, int(trn), kind == b"R", data)
    except UcpError as error:
        if kind == b"O":  # an answer is not answered
            error.trn, error.operation = int(trn), int(operation)
        raise


def encode(message: Message) -> bytes:
    """The frame of a message, from STX to ETX.

    Raises:
        UcpError: a field holds what its place in the frame does not allow.
    """
    kind = message.operation, message.ack if message.is_response else _ASKS
    layout = LAYOUTS.get(kind)
    if layout is None or not 0 <= message.trn <= 99:
        raise UcpError("no question, acceptance or refusal of TRN 0 to 99", code=ErrorCode.SYNTAX, field="header")
    if message.otoa == ALPHANUMERIC:
        message = msgspec.structs.replace(message, oadc=write_name(message.oadc))
    values = _VALUES[kind](message)
    data = "/".join(values)
    _read(layout, data, values)
    letter = "R" if message.is_response else "O"
    body = f"{message.trn:02}/{len(data) + 17:05}/{letter}/{message.operation:02}/{data}/".encode("ascii")
    return b"\x02%b%02X\x03" % (body, sum(body) & 0xFF)


def refuse_frame(error: UcpError) -> bytes | None:
    """The answer to a frame that `parse` raised `error` for; None where it cannot be answered."""
    if error.trn is None or error.operation is None:
        return None
    body = b"%02d/00022/R/%02d/N/%02d//" % (error.trn, error.operation, error.code)
    return b"\x02%b%02X\x03" % (body, sum(body) & 0xFF)


def cut(stream: bytes) -> tuple[list[bytes], bytes]:
    """The whole frames in what has arrived, without STX and ETX, and the rest to be put before what arrives next.

    What stands outside a frame is noise, and so is what an STX begins anew or what is longer than any frame.
    """
    *ended, rest = stream.split(ETX)
    frames = [whole.rpartition(STX)[2] for whole in ended if STX in whole]
    begun = rest.rpartition(STX)
    return frames, STX + begun[2] if begun[1] and len(begun[2]) <= LONGEST_FRAME else b""


def _check_sums(inner: bytes, length: bytes, checksum: bytes) -> None:
    if int(length) != len(inner):
        raise UcpError(f"{int(length)} where there are {len(inner)}", code=ErrorCode.SYNTAX, field="len")
    if b"%02X" % (sum(inner[:-2]) & 0xFF) != checksum:
        raise UcpError("the checksum does not agree", code=ErrorCode.CHECKSUM, field="chk")


def _message(operation: Operation, trn: int, is_response: bool, data: bytes) -> Message:
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError:
        raise UcpError("not in ASCII", code=ErrorCode.SYNTAX, field="data") from None
    layout = LAYOUTS.get((operation, text[:1] if is_response else _ASKS))
    if layout is None:
        raise UcpError("neither A nor N", code=ErrorCode.SYNTAX, field="ack")
    fields = _read(layout, text, text.split("/"))
    return Message(operation=operation, trn=trn, is_response=is_response, **fields)


def _read(layout: Layout, data: str, values: Sequence[str]) -> dict[str, Any]:
    """The fields by name, every one checked; ``values`` are what ``data`` joins."""
    if layout.whole.fullmatch(data) is None:
        _blame(layout, values)
    fields: dict[str, Any] = dict(zip(layout.names, values, strict=True))
    if "mt" in fields:
        check_content(fields["mt"], fields.get("nb", ""), fields["msg"], fields.get("xser", ""))
    if fields.get("otoa") == ALPHANUMERIC:
        fields["oadc"] = read_name(fields["oadc"])
    elif "otoa" in fields and ADDRESS.fullmatch(fields["oadc"]) is None:
        raise UcpError("no number, and no name by its OTOA", code=ErrorCode.SYNTAX, field="oadc")
    for stamp in ("scts", "dscts"):
        if fields.get(stamp, "") >= "29":  # every month has the days before
            read_time(fields[stamp], None, field=stamp)
    return fields


def _blame(layout: Layout, values: Sequence[str]) -> NoReturn:
    """Say which field is not as its pattern has it."""
    if len(values) != len(layout.names):
        problem = f"{len(values)} fields where {len(layout.names)} belong"
        raise UcpError(problem, code=ErrorCode.SYNTAX, field="data")
    columns = zip(layout.names, layout.patterns, values, strict=True)
    name, value = next((name, value) for name, pattern, value in columns if pattern.fullmatch(value) is None)
    code = ErrorCode.SYNTAX
    if name == "mt" and value.isdigit():
        code = ErrorCode.MESSAGE_TYPE
    elif name == "msg" and len(value) > LONGEST_MESSAGE:
        code = ErrorCode.MESSAGE_TOO_LONG
    raise UcpError("not what the specification allows there", code=code, field=name)
