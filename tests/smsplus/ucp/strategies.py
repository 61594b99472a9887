"""Frames and messages for the codec's tests: made, mutated, and put right again."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
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
NUMBERS = st.from_regex(r"[0-9]{1,16}", fullmatch=True)
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


_BOUND_TO_OTHERS = {"mt", "nb", "msg", "xser", "scts", "dscts", "otoa", "oadc", "ack", "ec", "styp"}


@st.composite
def messages(draw: st.DrawFn) -> ucp.Message:
    """Messages of every kind, with every field filled now and then."""
    operation, kind = draw(st.sampled_from(sorted(LAYOUTS)))
    layout = LAYOUTS[operation, kind]
    free = [place for place, name in enumerate(layout.names) if name not in _BOUND_TO_OTHERS]
    fields: dict[str, Any] = {
        layout.names[place]: draw(st.from_regex(layout.patterns[place], fullmatch=True))
        for place in draw(st.sets(st.sampled_from(free), max_size=4))
    }
    fields |= {"A": {"ack": "A"}, "N": {"ack": "N", "ec": "06"}}.get(kind, {"oadc": draw(NUMBERS)})
    if "xser" in layout.names:
        fields |= write_text(draw(GSM_TEXT | ANY_TEXT), draw(st.none() | PARTS))._asdict()
        fields |= {
            stamp: draw(st.sampled_from(["", "290224235959", "010170000000"])) for stamp in ("scts", "dscts")
        }
        fields |= {"oadc": draw(NAMES), "otoa": ALPHANUMERIC} if draw(st.booleans()) else {}
    elif "mt" in layout.names:
        fields |= {"mt": "3", "msg": gsm.encode(draw(GSM_TEXT)).hex().upper()}
    elif "styp" in layout.names:
        fields |= {"styp": "1"}
    trn = draw(st.integers(0, 99))
    return ucp.Message(operation=ucp.Operation(operation), trn=trn, is_response=kind != "O", **fields)


_TOKENS = ["", "/", "0", "3", "4", "A", "N", "\x02", "\x03", "é", " ", "5039", "020108", "D83D", "1B", "99999"]
_TOKENS += ["00000", "0106050003CC0201", "0E41E19058341E9148", "310208120000"]


def damaged(frames: Sequence[bytes], dice: random.Random) -> Iterator[bytes]:
    """Frames with some bytes or fields changed, added or taken away, without end; most of them sealed again."""
    while True:
        frame = dice.choice(frames).decode()
        for _ in range(dice.randint(1, 3)):
            fields = frame.split("/")
            place, start, token = dice.randrange(len(fields)), dice.randrange(len(frame) + 1), dice.choice(_TOKENS)
            match dice.randrange(6):
                case 0:
                    frame = "/".join([*fields[:place], token, *fields[place + 1 :]])
                case 1:
                    frame = "/".join([*fields[:place], *fields[place + 1 :]])
                case 2:
                    frame = "/".join([*fields[:place], dice.choice(fields), *fields[place:]])
                case 3:
                    frame = frame[:start] + token + frame[start + dice.randrange(4) :]
                case 4:
                    frame = frame[:start] + chr(dice.randrange(256)) + frame[start + 1 :]
                case _:
                    frame = frame[:start] + frame[start + dice.randint(1, 9) :]
        body = frame.rpartition("/")[0].encode("latin-1") + b"/"
        yield frame.encode("latin-1") if dice.random() < 0.1 or body.count(b"/") < 2 else sealed(body)
