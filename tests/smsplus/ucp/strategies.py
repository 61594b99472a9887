"""Frames and messages for the codec's tests: made, mutated, and put right again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from alias_middleware import gsm
from alias_middleware.smsplus import ucp
from alias_middleware.smsplus.ucp.content import write_text
from alias_middleware.smsplus.ucp.layout import ALPHANUMERIC, LAYOUTS

CASES: dict[str, Any] = json.loads((Path(__file__).parents[2] / "cases/ucp_frames.json").read_text())
DELIVERED: list[dict[str, Any]] = CASES["op52"]
FRAMES: list[bytes] = [case["frame"].encode() for case in [*CASES["op52"], *CASES["others"]]]

GSM_TEXT = st.text(st.sampled_from(sorted(gsm.SEPTETS)), max_size=100)
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=100)
NAMES = st.text(st.sampled_from("ABCÉeß_ 1é€"), min_size=1, max_size=5).filter(lambda name: not name.isdigit())
PARTS = st.integers(1, 255).flatmap(
    lambda total: st.builds(ucp.Part, st.integers(0, 0xFFFF), st.just(total), st.integers(1, total))
)


def sealed(body: bytes) -> bytes:
    """A frame from TRN to the last slash, with its true length and checksum."""
    trn, _, rest = body.split(b"/", 2)
    body = b"%b/%05d/%b" % (trn, len(trn) + len(rest) + 9, rest)
    return b"%b%02X" % (body, sum(body) & 0xFF)


def changed(frame: bytes, **fields: str) -> bytes:
    """A frame with other texts in some fields, and its true length and checksum."""
    trn, length, kind, operation, *values, _ = frame.decode().split("/")
    layout = LAYOUTS[int(operation), "O" if kind == "O" else values[0]]
    for name, value in fields.items():
        values[layout.names.index(name)] = value
    return sealed("/".join([trn, length, kind, operation, *values, ""]).encode())


def _fields(kind: tuple[int, str]) -> st.SearchStrategy[dict[str, str]]:
    layout = LAYOUTS[kind]
    return st.fixed_dictionaries(
        {
            name: st.from_regex(pattern, fullmatch=True)
            for name, pattern in zip(layout.names, layout.patterns, strict=True)
            if name not in {"mt", "nb", "msg", "xser", "scts", "dscts", "otoa", "oadc"}
        }
        | ({"oadc": st.from_regex(r"[0-9]{1,16}", fullmatch=True)} if "oadc" in layout.names else {})
    )


@st.composite
def messages(draw: st.DrawFn) -> ucp.Message:
    """Messages of every kind, with every field filled now and then."""
    operation, kind = draw(st.sampled_from(sorted(LAYOUTS)))
    fields: dict[str, Any] = draw(_fields((operation, kind)))
    names = LAYOUTS[operation, kind].names
    if "xser" in names:
        fields |= write_text(draw(GSM_TEXT | ANY_TEXT), draw(st.none() | PARTS))._asdict()
        fields |= {
            stamp: draw(st.sampled_from(["", "290224235959", "010170000000"])) for stamp in ("scts", "dscts")
        }
        if draw(st.booleans()):
            fields |= {"oadc": draw(NAMES), "otoa": ALPHANUMERIC}
    elif "mt" in names:
        fields |= {"mt": "3", "msg": gsm.encode(draw(GSM_TEXT)).hex().upper()}
    trn = draw(st.integers(0, 99))
    return ucp.Message(operation=ucp.Operation(operation), trn=trn, is_response=kind != "O", **fields)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Frames with some bytes changed, added or taken away; about half of them sealed again."""
    frame = bytearray(draw(st.sampled_from(FRAMES) | messages().map(lambda message: ucp.encode(message)[1:-1])))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(0, len(frame) - 1)))
        match draw(st.sampled_from(["change", "add", "take", "double"])):
            case "change":
                frame[place : place + 1] = bytes(
                    [draw(st.sampled_from(b"/0139AaZN\x02\x03\x80 ") | st.integers(0, 255))]
                )
            case "add":
                frame[place:place] = draw(st.binary(min_size=1, max_size=3))
            case "take":
                del frame[place : place + draw(st.integers(1, 3))]
            case _:
                frame[place:place] = frame[place : place + 20]
    body = bytes(frame).rpartition(b"/")[0] + b"/"
    return sealed(body) if draw(st.booleans()) and body.count(b"/") > 1 else bytes(frame)
