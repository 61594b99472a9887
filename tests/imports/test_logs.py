"""Lines of logs: what they say, and that none of them does harm."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alias_middleware.errors import SettingsError
from alias_middleware.imports.logs import Hit, combined, json_lines, path_of
from alias_middleware.testing.histories import instant

ALIAS = b"mUserAlias:314522927347"
LINE = (
    b'10.12.0.1 - - [02/Mar/2026:12:00:00 +0100] "GET /sport/?a=1 HTTP/1.1" 200 5120 "-" "Phone/1" '
    b'"mUserAlias:314522927347"'
)
HIT = Hit(instant("2026-03-02T12:00"), "10.12.0.1", b"GET", b"/sport/?a=1", 200, b"Phone/1", None, ALIAS)


def test_a_combined_line() -> None:
    """The usual format of Apache and nginx, and the operator's header behind it."""
    assert combined()(LINE) == HIT


@pytest.mark.parametrize(
    ("line", "changed"),
    [
        pytest.param(LINE.replace(b"200 5120", b"304 -"), {"status": 304}, id="no size"),
        pytest.param(LINE.replace(b'"mUserAlias:314522927347"', b'"-"'), {"alias": b""}, id="no alias"),
        pytest.param(LINE.replace(b"Phone/1", rb"a \"b\" \xc3"), {"agent": b'a "b" \xc3'}, id="escapes"),
        pytest.param(LINE.replace(b"12:00:00 +0100", b"11:00:00 +0000"), {}, id="another zone"),
        pytest.param(LINE + b" ", {}, id="a blank at the end"),
    ],
)
def test_variants(line: bytes, changed: dict[str, object]) -> None:
    """What servers write in one place or another."""
    expected = HIT._replace(**changed)  # type: ignore[arg-type]
    found = combined()(line)
    assert found is not None
    assert found._replace(agent=b"") == expected._replace(agent=b"")
    assert changed.get("agent", b"Phone/1") == found.agent


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x00\xff", id="bytes"),
        pytest.param(LINE[:60], id="cut off"),
        pytest.param(LINE + b' "one more"', id="more than the format says"),
        pytest.param(LINE.replace(b"Mar", b"Mrz"), id="no month"),
        pytest.param(LINE.replace(b"02/Mar/2026", b"32/Mar/2026"), id="no day"),
        pytest.param(LINE.replace(b"2026", b"9999"), id="a year too late"),
        pytest.param(LINE.replace(b"GET /sport/?a=1 HTTP/1.1", b"-"), id="no request"),
        pytest.param(LINE.replace(b'" "Phone', b'" " "Phone'), id="a stray quote"),
    ],
)
def test_bad_lines(line: bytes) -> None:
    """They are no line of the format."""
    assert combined()(line) is None


@given(st.binary(max_size=200), st.integers(0, len(LINE)))
def test_no_line_raises(noise: bytes, place: int) -> None:
    """Whatever stands in it, in either format; and a path is always a text."""
    for parse in (combined(), json_lines(alias_field="wap-network-info")):
        for line in (noise, LINE[:place] + noise + LINE[place:]):
            hit = parse(line)
            assert hit is None or isinstance(path_of(hit.target), str)


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b'{"time":"2026-03-02T12:00:00+01:00","method":"GET","path":"/sport/?a=1","status":200,'
                     b'"remote_addr":"10.12.0.1","user_agent":"Phone/1","wap-network-info":"mUserAlias:314522927347"}',
                     id="our names"),
        pytest.param(b'{"msec":"1772449200.000","request_method":"GET","request_uri":"/sport/?a=1","status":"200",'
                     b'"remote_addr":"10.12.0.1","http_user_agent":"Phone/1",'
                     b'"http_wap_network_info":"mUserAlias:314522927347"}', id="nginx's names"),
        pytest.param(b'{"timestamp":1772449200,"request":"GET /sport/?a=1 HTTP/1.1","status":200,'
                     b'"peer":"10.12.0.1","user_agent":"Phone/1","wap-network-info":"mUserAlias:314522927347"}',
                     id="a whole request"),
    ],
)  # fmt: skip
def test_json_lines(line: bytes) -> None:
    """The names that servers give their fields."""
    assert json_lines(alias_field="wap-network-info")(line) == HIT


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"[" * 100_000, id="deep"),
        pytest.param(b'{"time":' + b'{"a":' * 100_000, id="deep inside"),
        pytest.param(b'{"time":1e300,"method":"GET","path":"/","status":200}', id="the end of time"),
        pytest.param(b'{"time":"2026-03-02T12:00:00","method":"GET","path":"/","status":200}', id="no zone"),
        pytest.param(b'{"time":1772449200,"method":"GET","path":"/","status":null}', id="no status"),
        pytest.param(b'{"time":1772449200,"status":200}', id="no request"),
        pytest.param(b'"text"', id="no object"),
    ],
)
def test_bad_json_lines(line: bytes) -> None:
    """They are no line of the format, however hostile."""
    assert json_lines(alias_field="wap-network-info")(line) is None


@pytest.mark.parametrize(
    ("target", "path"),
    [
        pytest.param(b"/a?b=/c", "/a", id="a query"),
        pytest.param(b"/caf%C3%A9", "/café", id="percent"),
        pytest.param(b"http://site/a/b?c", "/a/b", id="absolute"),
        pytest.param(b"/%ff", "/�", id="no UTF-8"),
    ],
)
def test_paths(target: bytes, path: str) -> None:
    """As the app saw them."""
    assert path_of(target) == path


def test_another_format() -> None:
    """Fields may stand in any order; what is needed and missing is named."""
    parse = combined('%t %h "%{wap-network-info}i" "%r" %>s "%{Content-Type}o"')
    hit = parse(b'[02/Mar/2026:12:00:00 +0100] 10.12.0.1 "-" "GET / HTTP/1.0" 200 "text/html"')
    assert hit is not None
    assert (hit.type, hit.alias, hit.target) == ("text/html", b"", b"/")
    with pytest.raises(SettingsError, match="wap-network-info"):
        combined('%h %l %u %t "%r" %>s %b')
