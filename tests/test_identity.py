"""From headers and a peer to a recognition, and from an alias to a key."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from alias_middleware.errors import SettingsError
from alias_middleware.identity import (
    HeaderAlias,
    Pairs,
    Recognition,
    Source,
    Status,
    WapNetworkInfo,
    keyed_hash,
    rotate_visitor_key,
    visitor_key,
)
from alias_middleware.trust import Trust, require_gateways

ALIAS, OTHER = "314522927347", "012345678901"
VALUE = f"mUserAlias:{ALIAS}".encode()
HEADER, TWIN = b"wap-network-info", b"wap_network_info"
GATEWAY, STRANGER = "10.12.3.4", "203.0.113.9"
CASES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "cases" / "wap_network_info.json").read_text(encoding="utf-8")
)["cases"]

source = WapNetworkInfo()
trust = Trust(["10.12.0.0/16"])


def lines(*values: bytes | str) -> list[tuple[bytes, bytes]]:
    """Header lines as ASGI delivers them, between others."""
    own = [(HEADER, value if isinstance(value, bytes) else value.encode("latin-1")) for value in values]
    return [(b"host", b"example.test"), *own, (b"accept", b"*/*")]


def pairs_of(case: dict[str, Any]) -> list[tuple[bytes, bytes]]:
    if "asgi" in case["input"]:
        return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in case["input"]["asgi"]]
    value = case["input"]["wsgi"]
    return [] if value is None else [(HEADER, value.encode("latin-1"))]


# -- the grammar


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_examples(case: dict[str, Any]) -> None:
    """Each example reads as agreed, parsed alone or from a trusted peer."""
    expected = Recognition(Status(case["status"]), case["alias"], frozenset(case["flags"]))
    assert source.read(pairs_of(case)) == expected
    assert source.recognise(pairs_of(case), GATEWAY, trust) == expected


@pytest.mark.parametrize(
    ("value", "status"),
    [
        pytest.param(" \t ", Status.EMPTY, id="blanks"),
        pytest.param(",, ,", Status.EMPTY, id="empty members"),
        pytest.param(f",mUserAlias:{ALIAS}, ,", Status.OK, id="empty members around"),
        pytest.param(f"mUserAlias \t: \t{ALIAS}", Status.OK, id="blanks around the colon"),
        pytest.param("mUserAlias:", Status.BAD_VALUE, id="no alias after the key"),
        pytest.param(f"mUserAlias:{ALIAS}:1", Status.BAD_VALUE, id="colon in the alias"),
        pytest.param("mUserAlias:+31452292734", Status.BAD_VALUE, id="sign"),
        pytest.param("mUserAlias:3145_2292734", Status.BAD_VALUE, id="underscore that int() would accept"),
        pytest.param("mUserAlias:31452292734²", Status.BAD_CHAR, id="superscript that isdigit() accepts"),
        pytest.param("mUserAlias:٣14522927347".encode(), Status.BAD_CHAR, id="Arabic digit that \\d accepts"),
        pytest.param(f"mUserAlias:{ALIAS}\n", Status.BAD_CHAR, id="final newline that $ accepts"),
        pytest.param(f"mUserAlias:{ALIAS}\0", Status.BAD_CHAR, id="NUL"),
        pytest.param(f"mUserAlias:{ALIAS}\x7f", Status.BAD_CHAR, id="DEL"),
        pytest.param("mUserAlias:3145 22927347", Status.MALFORMED, id="blank inside"),
        pytest.param(f"1mUserAlias:{ALIAS}", Status.MALFORMED, id="key begins with a digit"),
        pytest.param(f"mUser.Alias:{ALIAS}", Status.MALFORMED, id="dot in a key"),
        pytest.param(f":{ALIAS}", Status.MALFORMED, id="no key"),
        pytest.param(f"mUserAlias:{ALIAS},x", Status.MALFORMED, id="alias beside what does not parse"),
        pytest.param("mUserAlias:1,mUserAlias", Status.MALFORMED, id="malformed before bad value"),
        pytest.param(f"mUserAlias:1,mUserAlias:{ALIAS}", Status.BAD_VALUE, id="bad value before conflict"),
        pytest.param("k:v\n" + "," * 253, Status.TOO_LONG, id="too long before bad character"),
        pytest.param("\n,x", Status.BAD_CHAR, id="bad character before malformed"),
        pytest.param("mFoo:", Status.NO_ALIAS, id="empty value of another key"),
        pytest.param("k" * 32 + ":v", Status.NO_ALIAS, id="longest key"),
        pytest.param("k" * 33 + ":v", Status.MALFORMED, id="key too long"),
        pytest.param("k:" + "v" * 64, Status.NO_ALIAS, id="longest value"),
        pytest.param("k:" + "v" * 65, Status.MALFORMED, id="value too long"),
        pytest.param("k:v" + "," * 253, Status.NO_ALIAS, id="256 bytes"),
        pytest.param("k:v" + "," * 254, Status.TOO_LONG, id="257 bytes"),
    ],
)
def test_edges(value: str | bytes, status: Status) -> None:
    """Each edge of the grammar, and the traps of Python's own ideas of digits and line ends."""
    found = source.read(lines(value))
    assert found.status is status
    assert found.alias == (ALIAS if status is Status.OK else None)


@pytest.mark.parametrize(
    ("values", "status"),
    [
        pytest.param(["", VALUE], Status.OK, id="an empty line beside the alias"),
        pytest.param([VALUE] * 4, Status.OK, id="four lines"),
        pytest.param([VALUE] * 5, Status.TOO_LONG, id="five lines"),
        pytest.param([""] * 5, Status.TOO_LONG, id="five empty lines"),
        pytest.param(["k:v" + "," * 125, "," * 128], Status.NO_ALIAS, id="256 bytes in all"),
        pytest.param(["k:v" + "," * 125, "," * 129], Status.TOO_LONG, id="257 bytes in all"),
        pytest.param([VALUE, "\x01"], Status.BAD_CHAR, id="one bad line poisons"),
        pytest.param(["mUserAlias", f":{ALIAS}"], Status.MALFORMED, id="a member does not span lines"),
    ],
)
def test_several_lines(values: list[bytes | str], status: Status) -> None:
    """Limits count over all lines, and one bad line poisons the others."""
    assert source.read(lines(*values)).status is status


@pytest.mark.parametrize(
    ("pairs", "flags"),
    [
        pytest.param(lines("mUserMsisdn:33600000000,a:b"), {"msisdn_seen", "unknown_key"}, id="both"),
        pytest.param(lines("MUSERMSISDN:33600000000"), {"msisdn_seen"}, id="keys ignore case"),
        pytest.param(lines("a:b,x"), set(), id="poisoned: malformed"),
        pytest.param(lines("a:b,mUserAlias:1"), set(), id="poisoned: bad value"),
        pytest.param(lines(VALUE, f"mUserAlias:{OTHER},a:b"), {"unknown_key"}, id="conflict: no duplicate"),
        pytest.param([(TWIN, b"x"), (HEADER, VALUE)], {"underscore_variant"}, id="twin beside it"),
        pytest.param([(HEADER, b"x"), (TWIN, VALUE)], {"underscore_variant"}, id="twin beside a bad one"),
        pytest.param([(b"wap_network-info", VALUE)], {"underscore_variant"}, id="half a twin"),
    ],
)
def test_flags(pairs: list[tuple[bytes, bytes]], flags: set[str]) -> None:
    """Flags tell what else was there; a poisoned header tells nothing about its members."""
    assert source.read(pairs).flags == flags


def test_the_twin_is_never_read() -> None:
    """An underscore twin with another alias neither conflicts nor counts."""
    pairs = [(TWIN, f"mUserAlias:{OTHER}".encode()), (HEADER, VALUE)]
    assert source.read(pairs).alias == ALIAS


def test_a_repr_hides_the_alias() -> None:
    """A recognition may end up in a log; its alias may not."""
    assert repr(source.read(lines(VALUE, VALUE))) == (
        "Recognition(status=OK, alias=<12 chars>, flags=['duplicate'])"
    )
    assert repr(source.read([])) == "Recognition(status=ABSENT, alias=None, flags=[])"


def test_names_to_hide_from_the_app() -> None:
    """Every spelling that WSGI folds into HTTP_WAP_NETWORK_INFO is to be removed."""
    assert source.header == "wap-network-info"
    assert source.names == {HEADER, TWIN, b"wap-network_info", b"wap_network-info"}


# -- the grammar, against another reading of it


def spell(values: list[bytes]) -> Recognition:
    """The oracle: the grammar read one byte at a time, with none of the tools the parser uses."""
    if not values:
        return Recognition(Status.ABSENT, None)
    everything = [byte for value in values for byte in value]
    if len(values) > 4 or len(everything) > 256:
        return Recognition(Status.TOO_LONG, None)
    if any((byte < 0x20 and byte != 0x09) or byte >= 0x7F for byte in everything):
        return Recognition(Status.BAD_CHAR, None)
    members: list[tuple[str, str]] = []
    for value in values:
        if not spell_line(value.decode("ascii"), members):
            return Recognition(Status.MALFORMED, None)
    return spell_verdict(members)


WAYS_ON = {
    "start": {"blank": "start", "comma": "start", "letter": "key"},
    "key": {"letter": "key", "digit": "key", "joint": "key", "blank": "after key", "colon": "before val"},
    "after key": {"blank": "after key", "colon": "before val"},
    "before val": dict.fromkeys(("letter", "digit", "joint", "colon", "other"), "val")
    | {"blank": "before val", "comma": "start"},
    "val": dict.fromkeys(("letter", "digit", "joint", "colon", "other"), "val")
    | {"blank": "after val", "comma": "start"},
    "after val": {"blank": "after val", "comma": "start"},
}


def kind_of(sign: str) -> str:
    if "a" <= sign <= "z" or "A" <= sign <= "Z":
        return "letter"
    if "0" <= sign <= "9":
        return "digit"
    return {" ": "blank", "\t": "blank", ",": "comma", ":": "colon", "_": "joint", "-": "joint"}.get(sign, "other")


def spell_line(text: str, members: list[tuple[str, str]]) -> bool:
    """Walk one line through the states of a member; False where the grammar has no way on."""
    state, texts = "start", {"key": "", "val": ""}
    for sign in text + ",":
        before, state = state, WAYS_ON[state].get(kind_of(sign), "nowhere")
        if state in texts:
            texts[state] += sign
        if state == "nowhere" or len(texts["key"]) > 32 or len(texts["val"]) > 64:
            return False
        if state == "start" != before:
            members.append((texts["key"], texts["val"]))
            texts = {"key": "", "val": ""}
    return True


def spell_verdict(members: list[tuple[str, str]]) -> Recognition:
    flags: set[str] = set()
    aliases: list[str] = []
    for key, val in members:
        if key.lower() == "museralias":
            aliases.append(val)
        elif key.lower() == "musermsisdn":
            flags.add("msisdn_seen")
        else:
            flags.add("unknown_key")
    if any(len(alias) != 12 or any(digit not in "0123456789" for digit in alias) for alias in aliases):
        return Recognition(Status.BAD_VALUE, None)
    if not aliases:
        status = Status.NO_ALIAS if members else Status.EMPTY
        return Recognition(status, None, frozenset(flags))
    if any(alias != aliases[0] for alias in aliases):
        return Recognition(Status.CONFLICT, None, frozenset(flags))
    if len(aliases) > 1:
        flags.add("duplicate")
    return Recognition(Status.OK, aliases[0], frozenset(flags))


blanks = st.sampled_from([b"", b"", b"", b" ", b"\t", b" \t "])
keys = st.sampled_from(
    [b"mUserAlias"] * 6 + [b"MUSERALIAS", b"mUserMsisdn", b"mFoo", b"m_-9", b"k" * 32, b"k" * 33, b"9k", b""]
)
vals = st.sampled_from(
    [ALIAS.encode()] * 6
    + [OTHER.encode(), b"33600000000", b"3145229273470", b"", b"a:b", b"~!+-", b"v" * 64, b"v" * 65]
)
members = st.builds(lambda *parts: b"".join(parts), blanks, keys, blanks, st.just(b":"), blanks, vals, blanks)
values = st.lists(members | blanks, max_size=4).map(b",".join)
odd_bytes = st.sampled_from(list(b" \t,::mA9_-\n\r\0\x1f\x7f\x80\xb2\xff")) | st.integers(0, 255)


@st.composite
def nearly_valid(draw: st.DrawFn) -> list[bytes]:
    """Header lines from the grammar, then at most two bytes replaced, added or lost."""
    drawn = draw(st.lists(values, min_size=1, max_size=5))
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2]))):
        row = draw(st.integers(0, len(drawn) - 1))
        at = draw(st.integers(0, len(drawn[row])))
        added = draw(st.sampled_from([b""]) | odd_bytes.map(lambda byte: bytes([byte])))
        lost = draw(st.integers(0, 1))
        drawn[row] = drawn[row][:at] + added + drawn[row][at + lost :]
    return drawn


@settings(max_examples=1000)
@given(nearly_valid())
@example([VALUE])
@example([b" mUserAlias\t: 314522927347 ,"])
def test_the_parser_agrees_with_the_grammar(drawn: list[bytes]) -> None:
    """Status, alias and flags are what a byte-by-byte reading of the grammar gives."""
    assert source.read(lines(*drawn)) == spell(drawn)


@given(st.lists(st.binary(max_size=80), max_size=6))
def test_no_bytes_raise(drawn: list[bytes]) -> None:
    """Any bytes at all get an answer, and only OK brings an alias: 12 ASCII digits, found in the header."""
    found = source.read(lines(*drawn))
    assert found == spell(drawn)
    assert (found.alias is not None) == (found.status is Status.OK)


@given(nearly_valid(), st.sampled_from([b",", b", "]))
def test_joined_lines_say_the_same(drawn: list[bytes], joint: bytes) -> None:
    """A WSGI server that joins repeated lines changes nothing, except for the limits."""
    joined = joint.join(drawn)
    if len(drawn) <= 4 and len(joined) <= 256:
        assert source.read(lines(joined)) == source.read(lines(*drawn))


# -- other operators' headers


HEX = "[0-9a-f]{4,40}"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param([], Recognition(Status.ABSENT, None), id="absent"),
        pytest.param([" "], Recognition(Status.EMPTY, None), id="empty"),
        pytest.param(["12ab"], Recognition(Status.OK, "12ab"), id="whole"),
        pytest.param([" 12ab\t"], Recognition(Status.OK, "12ab"), id="blanks around"),
        pytest.param(["12ab, 12ab"], Recognition(Status.OK, "12ab", frozenset({"duplicate"})), id="joined"),
        pytest.param(["12ab", "12ab"], Recognition(Status.OK, "12ab", frozenset({"duplicate"})), id="twice"),
        pytest.param(["12ab", "", ","], Recognition(Status.OK, "12ab"), id="empty lines beside"),
        pytest.param(["12ab,34cd"], Recognition(Status.CONFLICT, None), id="joined conflict"),
        pytest.param(["12ab", "34cd"], Recognition(Status.CONFLICT, None), id="conflict"),
        pytest.param(["12ab,34cd", "x"], Recognition(Status.BAD_VALUE, None), id="bad before conflict"),
        pytest.param(["12ab;"], Recognition(Status.BAD_VALUE, None), id="text after it"),
        pytest.param(["x12ab"], Recognition(Status.BAD_VALUE, None), id="text before it"),
        pytest.param(["12ab\n"], Recognition(Status.BAD_CHAR, None), id="final newline"),
        pytest.param(["12ab²"], Recognition(Status.BAD_CHAR, None), id="not ASCII"),
        pytest.param(["12ab"] * 5, Recognition(Status.TOO_LONG, None), id="five lines"),
        pytest.param(["a" * 257], Recognition(Status.TOO_LONG, None), id="too long"),
    ],
)
@pytest.mark.parametrize(
    "pattern",
    [
        pytest.param(HEX, id="text"),
        pytest.param(re.compile(HEX), id="compiled"),
        pytest.param(re.compile(HEX.encode()), id="compiled for bytes"),
        pytest.param(HEX + "$", id="with its own anchor"),
    ],
)
def test_header_alias(
    values: list[str], expected: Recognition, pattern: str | re.Pattern[str] | re.Pattern[bytes]
) -> None:
    """The whole value matches, or its parts do and agree; otherwise there is no alias."""
    nokia = HeaderAlias("X-Nokia-Alias", pattern)
    pairs = [(b"x-nokia-alias", value.encode("latin-1")) for value in values]
    assert nokia.read([(b"host", b"12ab"), *pairs]) == expected
    assert nokia.recognise(pairs, GATEWAY, trust) == expected


def test_header_alias_reads_an_id_with_commas() -> None:
    """A pattern that accepts commas takes the whole value before its parts."""
    acr = HeaderAlias("X-ACR", "[0-9a-f]+,[0-9]+")
    assert acr.read([(b"x-acr", b"12ab,1")]) == Recognition(Status.OK, "12ab,1")
    assert acr.read([(b"x-acr", b" 12ab,1\t")]) == Recognition(Status.OK, "12ab,1")
    assert acr.read([(b"x-acr", b"12ab,1"), (b"x-acr", b"12ab,2")]).status is Status.CONFLICT


def test_header_alias_keeps_the_flags_of_a_compiled_pattern() -> None:
    """A pattern compiled to ignore case does; its digits are ASCII digits all the same."""
    loud = HeaderAlias("x-id", re.compile(r"id\d+", re.IGNORECASE))
    assert loud.read([(b"x-id", b"ID42")]).alias == "ID42"
    assert loud.read([(b"x-id", "id٤".encode())]).status is Status.BAD_CHAR


def test_header_alias_has_its_own_names() -> None:
    """The header for ``Vary`` and the names to hide come from its own name."""
    acr = HeaderAlias("X-ACR", HEX)
    assert acr.header == "x-acr"
    assert acr.names == {b"x-acr", b"x_acr"}
    assert acr.read([(b"x_acr", b"12ab")]) == Recognition(Status.ABSENT, None, frozenset({"underscore_variant"}))


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        pytest.param("", HEX, id="no name"),
        pytest.param("x_acr", HEX, id="underscore"),
        pytest.param("x-acr:", HEX, id="colon"),
        pytest.param("x-acr\n", HEX, id="newline"),
        pytest.param("x-\u212aey", HEX, id="Kelvin sign, a k in lower case"),
        pytest.param("a-b-c-d-e-f-g-h-i", HEX, id="nine words"),
        pytest.param("x-acr", "[0-9", id="not a pattern"),
        pytest.param("x-acr", "é+", id="not ASCII"),
        pytest.param("x-acr", "(?u)a", id="not for bytes"),
        pytest.param("x-acr", "[0-9]*", id="accepts nothing"),
    ],
)
def test_header_alias_refuses_at_construction(name: str, pattern: str) -> None:
    """A wrong source is a wrong setting, found before the first request."""
    with pytest.raises(SettingsError) as caught:
        HeaderAlias(name, pattern)
    assert caught.value.setting == "source"


# -- trust


class Unreadable(Source):
    """A source whose value must not be read."""

    def read(self, pairs: Pairs) -> Recognition:
        raise AssertionError("the header was read")


@pytest.mark.parametrize(
    ("gateways", "peer", "trusted"),
    [
        pytest.param([], GATEWAY, False, id="nobody is trusted"),
        pytest.param([], None, False, id="nobody, no address"),
        pytest.param(["10.12.3.4"], "10.12.3.4", True, id="address"),
        pytest.param(["10.12.3.4"], "10.12.3.5", False, id="next address"),
        pytest.param(["10.12.0.0/16"], "10.12.255.255", True, id="end of a range"),
        pytest.param(["10.12.0.0/16"], "10.13.0.0", False, id="past a range"),
        pytest.param(["10.12.3.4/16"], "10.12.0.1", True, id="bits below the mask"),
        pytest.param(["192.0.2.1", "10.0.0.0/8"], "10.1.1.1", True, id="second entry"),
        pytest.param(["10.12.0.0/16"], "::ffff:10.12.3.4", True, id="IPv4 in IPv6"),
        pytest.param(["10.12.0.0/16"], "::ffff:10.13.3.4", False, id="another IPv4 in IPv6"),
        pytest.param(["::ffff:10.12.0.0/112"], "10.12.3.4", True, id="range written as IPv6"),
        pytest.param(["::ffff:10.12.0.0/112"], "::ffff:10.12.3.4", True, id="both written as IPv6"),
        pytest.param(["0.0.0.0/0"], "2001:db8::1", False, id="all of IPv4 is not IPv6"),
        pytest.param(["2001:db8::/32"], "2001:db8::1", True, id="IPv6"),
        pytest.param(["2001:db8::/32"], "2001:DB8:0:0::1", True, id="IPv6 spelt otherwise"),
        pytest.param(["2001:db8::/32"], "2001:db9::1", False, id="another IPv6"),
        pytest.param(["unix"], None, True, id="Unix socket"),
        pytest.param(["unix"], "", True, id="Unix socket, empty address"),
        pytest.param(["unix"], "unix", False, id="the word is not an address"),
        pytest.param(["unix"], "127.0.0.1", False, id="Unix socket only"),
        pytest.param(["127.0.0.1"], None, False, id="not the Unix socket"),
        pytest.param(["127.0.0.1"], "localhost", False, id="a name"),
        pytest.param(["0.0.0.0/0", "::/0"], "garbage", False, id="garbage"),
        pytest.param(["0.0.0.0/0"], " 10.12.3.4", False, id="blank before"),
        pytest.param(["0.0.0.0/0"], "10.12.3.4:80", False, id="port"),
        pytest.param(["0.0.0.0/0"], "10.12.3.04", False, id="leading zero"),
        pytest.param(["0.0.0.0/0"], "1\u0660.12.3.4", False, id="Arabic digit"),
        pytest.param(["0.0.0.0/0"], "168561668", False, id="number"),
        pytest.param(["::/0"], "[2001:db8::1]", False, id="brackets"),
        pytest.param(["::/0"], "fe80::1%eth0", False, id="zone"),
        pytest.param(["::/0"], "1" * 100_000, False, id="very long"),
    ],
)
def test_trust_by_address(gateways: list[str], peer: str | None, trusted: bool) -> None:
    """Only a plain address in the list is trusted; what is no address is not, and raises nothing."""
    decider = Trust(gateways)
    assert [decider.admits(peer, []) for _ in range(2)] == [trusted, trusted]
    expected = source.read(lines(VALUE)) if trusted else Recognition(Status.UNTRUSTED, None)
    assert source.recognise(lines(VALUE), peer, decider) == expected


@given(st.text(max_size=60))
def test_no_peer_raises(peer: str) -> None:
    """Whatever a server hands over as the peer, there is an answer."""
    assert Trust([]).admits(peer, []) is False
    Trust(["0.0.0.0/0", "::/0"]).admits(peer, [])


def test_the_memory_of_peers_is_bounded() -> None:
    """Forged peers do not fill the memory, and forgetting changes no answer."""
    decider = Trust(["10.0.0.0/8"])
    for number in range(10_000):
        assert decider.admits(f"10.0.{number >> 8}.{number & 255}", [])
        assert not decider.admits(f"peer {number}", [])
    assert not decider.admits("x" * 5_000, [])
    assert len(decider._decided) <= 4096
    assert max(map(len, decider._decided)) < 50


def test_an_untrusted_header_is_not_read() -> None:
    """From anyone else the value is not parsed, only the presence of the header is told."""
    unreadable = Unreadable("wap-network-info")
    assert unreadable.recognise(lines("\x00"), STRANGER, trust) == Recognition(Status.UNTRUSTED, None)
    with pytest.raises(AssertionError, match="the header was read"):
        unreadable.recognise(lines("\x00"), GATEWAY, trust)


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        pytest.param(lines(), Recognition(Status.ABSENT, None), id="no header"),
        pytest.param(
            [(TWIN, VALUE)], Recognition(Status.ABSENT, None, frozenset({"underscore_variant"})), id="twin"
        ),
        pytest.param(
            [(HEADER, VALUE), (TWIN, VALUE)],
            Recognition(Status.UNTRUSTED, None, frozenset({"underscore_variant"})),
            id="both",
        ),
    ],
)
def test_strangers(pairs: list[tuple[bytes, bytes]], expected: Recognition) -> None:
    """A stranger without the header is like anyone without it; twins are told all the same."""
    assert source.recognise(pairs, STRANGER, trust) == expected


@pytest.mark.parametrize(
    "gateways",
    [
        pytest.param(["10.12.0.0/33"], id="no such mask"),
        pytest.param(["10.12.0"], id="not an address"),
        pytest.param([""], id="empty"),
        pytest.param(["localhost"], id="a name"),
        pytest.param(["UNIX"], id="unix in capitals"),
        pytest.param([" 10.12.0.1"], id="blank"),
        pytest.param(["fe80::1%eth0"], id="zone"),
        pytest.param([168561668], id="number"),
        pytest.param([None], id="None in the list"),
        pytest.param("10.12.0.1", id="text instead of a list"),
        pytest.param(b"10.12", id="bytes instead of a list"),
        pytest.param(None, id="missing"),
        pytest.param(7, id="not a list at all"),
    ],
)
def test_wrong_gateways(gateways: Any) -> None:
    """A wrong list of gateways is found before the first request."""
    with pytest.raises(SettingsError) as caught:
        Trust(gateways)
    assert caught.value.setting == "trusted_gateways"


def test_missing_gateways_explain_themselves() -> None:
    """Who did not set trusted_gateways learns what it is, what to write, and why nothing is assumed."""
    with pytest.raises(SettingsError) as caught:
        require_gateways(None)
    message = str(caught.value)
    for part in ("trusted_gateways", '["10.12.0.0/16"]', '["127.0.0.1"]', '"unix"', "no default", "forge"):
        assert part in message
    assert require_gateways(["10.12.0.0/16"]) == ["10.12.0.0/16"]
    assert require_gateways([]) == []


SECRET = ("X-Gateway-Secret", "correct horse")


@pytest.mark.parametrize(
    ("sent", "admitted"),
    [
        pytest.param([(b"x-gateway-secret", b"correct horse")], True, id="right"),
        pytest.param([(b"x-gateway-secret", b"correct horse \t")], True, id="trailing blanks of a server"),
        pytest.param([], False, id="missing"),
        pytest.param([(b"x-gateway-secret", b"correct hors")], False, id="shorter"),
        pytest.param([(b"x-gateway-secret", b"correct horse!")], False, id="longer"),
        pytest.param([(b"x-gateway-secret", b"Correct horse")], False, id="another case"),
        pytest.param([(b"x-gateway-secret", b"\xff")], False, id="not ASCII"),
        pytest.param([(b"x-gateway-secret", b"correct horse")] * 2, False, id="twice"),
        pytest.param(
            [(b"x-gateway-secret", b"correct horse,correct horse")], False, id="twice, joined by a server"
        ),
        pytest.param([(b"x_gateway_secret", b"correct horse")], False, id="underscore twin"),
    ],
)
def test_trust_by_secret(sent: list[tuple[bytes, bytes]], admitted: bool) -> None:
    """With a secret, the right address must bring it exactly once; a stranger with it stays a stranger."""
    guarded = Trust(["10.12.0.0/16"], SECRET)
    status = Status.OK if admitted else Status.UNTRUSTED
    assert guarded.admits(GATEWAY, iter(sent)) is admitted
    assert source.recognise(iter([*lines(VALUE), *sent]), GATEWAY, guarded).status is status
    assert source.recognise([*lines(VALUE), *sent], STRANGER, guarded).status is Status.UNTRUSTED


def test_secrets_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison is the standard library's, so that its time tells nothing."""
    compared: list[tuple[bytes, bytes]] = []

    def compare_digest(sent: bytes, secret: bytes) -> bool:
        compared.append((sent, secret))
        return True

    monkeypatch.setattr(hmac, "compare_digest", compare_digest)
    assert Trust(["unix"], SECRET).admits(None, [(b"x-gateway-secret", b"guess")])
    assert compared == [(b"guess", b"correct horse")]


def test_a_repr_hides_the_secret() -> None:
    """A trust may end up in a log; its secret may not."""
    assert repr(Trust(["10.12.0.0/16", "unix"], SECRET)) == (
        "Trust(gateways=['10.12.0.0/16', 'unix'], secret=<hidden>)"
    )
    assert repr(Trust([])) == "Trust(gateways=[], secret=None)"
    assert Trust([], SECRET).secret_name == b"x-gateway-secret"
    assert Trust([]).secret_name is None


@pytest.mark.parametrize(
    "secret",
    [
        pytest.param(("x secret", "hush"), id="bad name"),
        pytest.param(("x-secret", ""), id="no value"),
        pytest.param(("x-secret", "hush "), id="blank at the end"),
        pytest.param(("x-secret", "hush\n"), id="newline at the end"),
        pytest.param(("x-secret", "hüsh"), id="not ASCII"),
        pytest.param(("x-secret", b"hush"), id="bytes"),
        pytest.param(("x-secret",), id="name only"),
        pytest.param("x-secret:hush", id="text"),
    ],
)
def test_wrong_secrets(secret: Any) -> None:
    """A secret that could never match is a wrong setting, and the message does not tell it."""
    with pytest.raises(SettingsError) as caught:
        Trust([], secret)
    assert caught.value.setting == "gateway_secret"
    assert "hush" not in str(caught.value)


def test_a_generator_of_headers_is_read_once() -> None:
    """Servers may hand over an iterator: the secret and the header come out of one pass."""

    def headers() -> Iterator[tuple[bytes, bytes]]:
        yield b"x-gateway-secret", b"correct horse"
        yield HEADER, VALUE

    assert source.recognise(headers(), GATEWAY, Trust(["10.12.0.0/16"], SECRET)).alias == ALIAS


# -- keys


def half(key: bytes, text: bytes) -> str:
    """16 bytes of an HMAC as text, by the long way."""
    return urlsafe_b64encode(hmac.new(key, text, hashlib.sha256).digest()[:16]).decode().removesuffix("==")


def test_without_keys_the_alias_is_the_key() -> None:
    """Leading zeros and all."""
    assert visitor_key(OTHER, "sonneries") == OTHER


def test_a_pseudonym_is_an_hmac_over_namespace_and_alias() -> None:
    """Keyed, per namespace, 22 characters, and the same for ever."""
    key = visitor_key(ALIAS, "sonneries", [b"k1"])
    assert key == half(b"k1", b"sonneries\0" + ALIAS.encode())
    assert key == "pgXy9ipKJzO5Pxh0r0CrOg"
    assert key != visitor_key(ALIAS, "logos", [b"k1"])
    assert key != visitor_key(ALIAS, "sonneries", [b"k2"])


def test_rotation_wraps_what_is_stored() -> None:
    """A new key is applied to stored pseudonyms offline and meets what requests compute, again and again."""
    stored = visitor_key(ALIAS, "sonneries", [b"k1"])
    for known in ([b"k1", b"k2"], [b"k1", b"k2", b"k3"]):
        expected = half(known[-1], stored.encode())
        stored = rotate_visitor_key(stored, known[-1])
        assert stored == expected == visitor_key(ALIAS, "sonneries", known)


def test_keyed_hash() -> None:
    """HMAC-SHA256 over length-prefixed texts: 32 bytes, the same for ever."""
    text = b"\0\0\0\x09tombstone\0\0\0\x02ns\0\0\0\x02\xc3\xa9"
    assert keyed_hash(b"secret", "tombstone", "ns", "é") == hmac.new(b"secret", text, hashlib.sha256).digest()


def test_keyed_hash_keeps_its_parts_apart() -> None:
    """Moving a letter from one part to the next, or changing any part, gives another hash."""
    parts = [
        (b"s", "ab", "c", "d"),
        (b"s", "a", "bc", "d"),
        (b"s", "ab", "", "cd"),
        (b"s", "ab", "cd", ""),
        (b"t", "ab", "c", "d"),
    ]
    assert len({keyed_hash(*part) for part in parts}) == len(parts)
