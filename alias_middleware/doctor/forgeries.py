"""The forgeries that a deployment must withstand, and the remedy for each that gets through. Pure.

A phone claims an alias that the doctor has made up. Played are a stranger's request, as anybody can send it, and
requests as a gateway passes them on that does not remove a phone's copies beside its own line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

COPY, TWIN, PARSING, PEER, SECRET = "copy", "twin", "parsing", "peer", "secret"

REMEDIES = {
    COPY: "take the sender of this request out of trusted_gateways; if that is a gateway, let it delete every "
    "copy of the header that phones send before it adds its own (docs/gateways)",
    TWIN: "let the gateway drop names with an underscore (nginx does, HAProxy by http-restrict-req-hdr-names), "
    "ask for a gateway_secret that it sends beside its own header only, or serve by ASGI (docs/servers.md)",
    PARSING: "gateway and server read this request differently: put nginx or HAProxy before the server, or ask "
    "for a gateway_secret that goes with the gateway's own header only (docs/servers.md)",
    PEER: "the server takes the peer's address from the request: uvicorn --no-proxy-headers, or name your own "
    "proxy, and it alone, in --forwarded-allow-ips or ProxyFix, and let it set the header anew",
    SECRET: "the secret is sent with requests that name nobody, or is not asked for: set gateway_secret",
}
"""What to do about each cause."""

CAUSES = {
    COPY: "the header itself is believed",
    TWIN: "its twin with underscores is believed",
    PARSING: "an odd way to write it is believed",
    PEER: "who connects is believed to be who the request says",
    SECRET: "the gateway's secret does not protect it",
}
"""What it means that a forgery of each cause gets through."""

_NINE_KILOBYTES = 9000


class Forgery(NamedTuple):
    """A way to claim an alias; `lines` are header lines, byte for byte as latin-1."""

    name: str
    cause: str
    lines: tuple[str, ...]


class Words(NamedTuple):
    """What forgeries are made of: the operator's header, and who claims whose alias.

    `secret`: the line of the gateway's secret, "" without one. `gateways`: addresses that the site may trust.
    """

    header: str
    victim: str
    own: str = ""
    secret: str = ""
    gateways: Sequence[str] = ()

    def line(self, alias: str, name: str = "") -> str:
        """Give a header line that names an alias."""
        return f"{name or self.header}: mUserAlias:{alias}"


def of_a_stranger(words: Words) -> list[Forgery]:
    """Give what anybody can send who reaches the deployment."""
    return [*_copies(words), *_twins(words), *_oddities(words), *_claimed_peers(words), *_guessed_secrets(words)]


def through_a_gateway(words: Words) -> list[Forgery]:
    """Give what a site gets of a gateway that adds its own line, and lets a phone's lines pass where it can.

    Behind its own line comes its secret; what stands alone is a phone's that the gateway does not know.
    """
    own = (words.line(words.own), *((words.secret,) if words.secret else ()))
    beside = [*_copies(words), *_twins(words), *_oddities(words), *_joined(words)]
    return [
        *(Forgery(f"{one.name}, before the gateway's line", one.cause, (*one.lines, *own)) for one in beside),
        *(Forgery(f"{one.name}, behind the gateway's line", one.cause, (*own, *one.lines)) for one in beside),
        *(Forgery(f"{one.name}, alone", one.cause, one.lines) for one in [*_twins(words), *_unseen(words)]),
    ]


def _copies(words: Words) -> Iterator[Forgery]:
    line = words.line(words.victim)
    yield Forgery("copy", COPY, (line,))
    yield Forgery("copy in capitals", COPY, (line.upper().replace("MUSERALIAS", "mUserAlias"),))
    yield Forgery("copy twice", COPY, (line, line))
    yield Forgery("copy joined with itself", COPY, (f"{line}, mUserAlias:{words.victim}",))


def _joined(words: Words) -> Iterator[Forgery]:
    yield Forgery("joined with the gateway's", COPY, (f"{words.line(words.own)}, mUserAlias:{words.victim}",))
    yield Forgery("joined before the gateway's", COPY, (f"{words.line(words.victim)}, mUserAlias:{words.own}",))


def _twins(words: Words) -> Iterator[Forgery]:
    twin = words.header.replace("-", "_")
    half = words.header.replace("-", "_", 1)
    yield Forgery("underscore twin", TWIN, (words.line(words.victim, twin),))
    if half != twin:
        yield Forgery("half a twin", TWIN, (words.line(words.victim, half),))


def _oddities(words: Words) -> Iterator[Forgery]:
    """Give copies that a gateway may not recognise for what they are."""
    header, victim = words.header, words.victim
    line = words.line(victim)
    yield from _unseen(words)
    yield Forgery("folded copy", PARSING, (f"{header}:\r\n mUserAlias:{victim}",))
    yield Forgery("NUL behind the value", PARSING, (f"{line}\0",))
    yield Forgery("NUL behind the name", PARSING, (f"{header}\0: mUserAlias:{victim}",))
    yield Forgery("blank before the colon", PARSING, (f"{header} : mUserAlias:{victim}",))
    yield Forgery("tab before the colon", PARSING, (f"{header}\t: mUserAlias:{victim}",))
    yield Forgery("9 kB of blanks", PARSING, (line + " " * _NINE_KILOBYTES,))
    yield Forgery("9 kB of commas", PARSING, (line + "," * _NINE_KILOBYTES,))
    yield Forgery("superscript digit", PARSING, (f"{line[:-1]}\xb2",))


def _unseen(words: Words) -> Iterator[Forgery]:
    """Give copies inside the value of another header, which a gateway passes on as it is."""
    line = words.line(words.victim)
    yield Forgery("folded into another header", PARSING, (f"X-Other: a\r\n {line}",))
    yield Forgery("behind a bare LF", PARSING, (f"X-Other: a\n{line}",))
    yield Forgery("behind a bare CR", PARSING, (f"X-Other: a\r{line}",))


def _claimed_peers(words: Words) -> Iterator[Forgery]:
    line = words.line(words.victim)
    for peer in words.gateways:
        claims = {
            "X-Forwarded-For": (f"X-Forwarded-For: {peer}",),
            "X-Forwarded-For twice": (f"X-Forwarded-For: {peer}, {peer}",),
            "X-Forwarded-For in two lines": (f"X-Forwarded-For: {peer}", f"X-Forwarded-For: {peer}"),
            "X_Forwarded_For": (f"X_Forwarded_For: {peer}",),
            "Forwarded": (f"Forwarded: for={peer}",),
            "X-Real-IP": (f"X-Real-IP: {peer}",),
            "Remote-Addr": (f"Remote-Addr: {peer}", f"Remote_Addr: {peer}"),
        }
        for name, lines in claims.items():
            yield Forgery(f"{name} names {peer}", PEER, (line, *lines))
    for word in ("unix", "localhost", ""):
        yield Forgery(f"X-Forwarded-For names {word or 'nothing'}", PEER, (line, f"X-Forwarded-For: {word}"))


def _guessed_secrets(words: Words) -> Iterator[Forgery]:
    name, _, value = words.secret.partition(": ")
    if name:
        line = words.line(words.victim)
        yield Forgery("empty secret", SECRET, (line, f"{name}: "))
        yield Forgery("part of the secret", SECRET, (line, f"{name}: {value[:-1]}"))
        yield Forgery("secret in capitals", SECRET, (line, f"{name}: {value.swapcase()}"))
        yield Forgery("two guesses", SECRET, (line, f"{name}: guess", f"{name}: {value[::-1]}"))
