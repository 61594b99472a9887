"""The continuity cookie: what it carries, for how long, and all it refuses."""

from __future__ import annotations

import sys
import time
from base64 import urlsafe_b64encode

import pytest
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from alias_middleware.continuity import COOKIE, COUNTS_WITH, Claim, Continuity
from alias_middleware.errors import MissingExtra
from alias_middleware.identity import Status

ALIAS = "314522927347"
OLD, NEW, OTHER = b"old secret, 16 bytes or more", b"new secret, 16 bytes or more", b"some other secret, 16+"
NOW = 1_775_000_000_000_000
SECOND = 1_000_000
MINUTE = 60 * SECOND
DAY = 24 * 60 * MINUTE

cookies = Continuity("sonneries", [OLD])
issued = cookies.issue(ALIAS, NOW)


def sealed(payload: bytes, namespace: str = "sonneries", secret: bytes = OLD) -> str:
    """A cookie made by the documented recipe alone, whatever its payload."""
    info = b"alias-middleware continuity cookie 1\0" + namespace.encode()
    key = HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(secret)
    return Fernet(urlsafe_b64encode(key)).encrypt_at_time(payload, NOW // SECOND).decode()


def test_it_carries_the_alias_and_the_time_of_the_header() -> None:
    """What was issued reads back, to the microsecond."""
    assert cookies.read(cookies.issue(ALIAS, NOW + 1), NOW + 2) == Claim(ALIAS, NOW + 1)


def test_its_recipe_is_stable() -> None:
    """A cookie of an earlier release stays readable: derivation and payload are pinned."""
    assert cookies.read(sealed(f"{NOW}:{ALIAS}".encode()), NOW) == Claim(ALIAS, NOW)


def test_it_shows_no_alias() -> None:
    """Neither the cookie nor the repr of a claim shows the alias; two cookies for one alias differ."""
    assert ALIAS not in issued
    assert repr(Claim(ALIAS, NOW)) == f"Claim(alias=<12 chars>, header_at={NOW})"
    assert cookies.issue(ALIAS, NOW) != issued


def test_it_reads_no_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """``now`` is all the time there is."""

    def clock() -> float:
        raise AssertionError("the clock was read")

    monkeypatch.setattr(time, "time", clock)
    assert cookies.read(cookies.issue(ALIAS, NOW), NOW) == Claim(ALIAS, NOW)


@pytest.mark.parametrize(
    ("age", "valid"),
    [
        pytest.param(-5 * MINUTE - 1, False, id="from the future"),
        pytest.param(-5 * MINUTE, True, id="another machine's clock"),
        pytest.param(0, True, id="at once"),
        pytest.param(30 * DAY - 1, True, id="last microsecond"),
        pytest.param(30 * DAY, False, id="expired"),
    ],
)
def test_it_lasts(age: int, valid: bool) -> None:
    """30 days from the header, end exclusive; clocks may differ by 5 minutes."""
    assert (cookies.read(issued, NOW + age) is not None) is valid


def test_every_flipped_bit_is_refused() -> None:
    """No other text reads as this cookie, nor as anything else."""
    for position, letter in enumerate(issued):
        for bit in range(8):
            forged = issued[:position] + chr(ord(letter) ^ 1 << bit) + issued[position + 1 :]
            assert cookies.read(forged, NOW) is None, (position, bit)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("", id="nothing"),
        pytest.param(ALIAS, id="the alias in clear"),
        pytest.param("=" * 8, id="padding only"),
        pytest.param("A", id="half a byte"),
        pytest.param(issued + "=", id="more padding"),
        pytest.param(issued[:-4], id="cut"),
        pytest.param(issued[:40] + "!" + issued[40:], id="stray character"),
        pytest.param(issued + "\n", id="line break"),
        pytest.param(f'"{issued}"', id="quoted"),
        pytest.param("é" + issued, id="not ASCII"),
        pytest.param("\ud800", id="half a surrogate pair"),
        pytest.param("A" * 1024, id="zeros"),
        pytest.param("A" * 1_000_000, id="very long"),
    ],
)
def test_hostile_text_is_no_claim(value: str) -> None:
    """Whatever a client sends as the cookie, the answer is None, never an error."""
    assert cookies.read(value, NOW) is None


@given(st.text() | st.text(alphabet="ABCab01-_=", max_size=200))
def test_any_text_is_no_claim(value: str) -> None:
    """Nobody guesses a cookie, and no text raises."""
    assert cookies.read(value, NOW) is None


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"314522927347", id="no time"),
        pytest.param(f"{NOW}:".encode(), id="no alias"),
        pytest.param(f"-{NOW}:{ALIAS}".encode(), id="signed time"),
        pytest.param(b"1_775_000_000_000_000:" + ALIAS.encode(), id="underscores in the time"),
        pytest.param(f"{NOW}:{ALIAS}\n".encode(), id="line break"),
        pytest.param(f"{NOW}:é".encode(), id="not ASCII"),
        pytest.param(b"9" * 19 + b":" + ALIAS.encode(), id="over-long time"),
    ],
)
def test_a_genuine_seal_over_something_else_is_no_claim(payload: bytes) -> None:
    """What another program seals with the same keys is not taken for a claim."""
    assert cookies.read(sealed(payload), NOW) is None


def test_an_over_long_cookie_is_not_even_decrypted() -> None:
    """Past 1024 characters a cookie is refused, genuine or not."""
    longest = sealed(f"{NOW}:".encode() + b"a" * 660)
    assert len(longest) <= 1024
    assert cookies.read(longest, NOW) is not None
    assert cookies.read(sealed(f"{NOW}:".encode() + b"a" * 700), NOW) is None


def test_a_namespace_reads_only_its_own() -> None:
    """The same alias in another namespace is another person."""
    assert Continuity("logos", [OLD]).read(issued, NOW) is None
    assert Continuity("logos", [OLD]).read(sealed(f"{NOW}:{ALIAS}".encode(), "logos"), NOW) is not None


def test_keys_rotate() -> None:
    """The newest key encrypts, every listed key decrypts, a dropped one no longer does."""
    both = Continuity("sonneries", [OLD, NEW])
    assert both.read(issued, NOW) == Claim(ALIAS, NOW)
    renewed = both.issue(ALIAS, NOW)
    assert Continuity("sonneries", [NEW]).read(renewed, NOW) == Claim(ALIAS, NOW)
    assert cookies.read(renewed, NOW) is None
    assert Continuity("sonneries", [OTHER]).read(issued, NOW) is None


def test_it_names_the_extra_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without ``cryptography`` the error says what to install; importing the module needs nothing."""
    monkeypatch.setitem(sys.modules, "cryptography.fernet", None)
    with pytest.raises(MissingExtra, match=r"alias-middleware\[crypto\]") as caught:
        Continuity("sonneries", [OLD])
    assert caught.value.extra == "crypto"


@pytest.mark.parametrize(
    ("secure", "ending"), [pytest.param(False, "", id="plain HTTP"), pytest.param(True, "; Secure", id="TLS")]
)
def test_set_cookie(secure: bool, ending: str) -> None:
    """For the whole host, out of scripts' reach, not sent from other sites' forms, and Secure if asked."""
    assert cookies.set_cookie("abc", secure) == (
        f"alias_continuity=abc; Max-Age=2592000; Path=/; HttpOnly; SameSite=Lax{ending}"
    )


@pytest.mark.parametrize(
    ("header", "found"),
    [
        pytest.param("", None, id="no cookies"),
        pytest.param("a=b; c=d", None, id="others"),
        pytest.param(f"{COOKIE}=abc", "abc", id="alone"),
        pytest.param(f"a=b; {COOKIE}=abc; c=d", "abc", id="among others"),
        pytest.param(f"a=b;\t{COOKIE} = abc ;c=d", "abc", id="odd blanks"),
        pytest.param(f"{COOKIE}=abc=; a=b", "abc=", id="equals sign in the value"),
        pytest.param(f"{COOKIE}=abc; {COOKIE}=abc", "abc", id="twice the same"),
        pytest.param(f"{COOKIE}=abc; {COOKIE}=def", None, id="two that differ"),
        pytest.param(f"x{COOKIE}=abc; {COOKIE}x=abc", None, id="similar names"),
        pytest.param(f"{COOKIE.upper()}=abc", None, id="names have case"),
        pytest.param(f"a={COOKIE}=abc", None, id="in another's value"),
        pytest.param(f"{COOKIE}", "", id="without a value"),
        pytest.param(";;=;" * 50, None, id="garbage"),
    ],
)
def test_find(header: str, found: str | None) -> None:
    """The cookie is found by its exact name; two different values name nobody."""
    assert Continuity.find(header) == found


def test_an_issued_cookie_survives_the_round_trip() -> None:
    """What ``set_cookie`` hands out, ``find`` gets back from the browser."""
    pair = cookies.set_cookie(issued, secure=True).partition(";")[0]
    assert cookies.find(f"a=b; {pair}") == issued


def test_it_never_overrules_a_header() -> None:
    """The cookie counts where the header is missing or not believed, not where it is wrong."""
    assert {Status.ABSENT, Status.EMPTY, Status.NO_ALIAS, Status.UNTRUSTED} == COUNTS_WITH
