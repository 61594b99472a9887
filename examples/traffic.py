"""Simulated phones with habits: what they ask for is decided by a seed, what they were answered is counted."""

import http.client
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple
from urllib.parse import urlsplit

from examples.site import CATEGORIES, FONTS, HTML, RINGTONES, WML

VICTIM = "999999999999"
"""The alias that forged headers claim. No phone has it, so whatever is recorded of it got through."""

ACCEPTS = {HTML: f"{HTML},application/xhtml+xml,*/*;q=0.8", WML: f"{WML},image/vnd.wap.wbmp"}
ELSEWHERE = ("127.0.0.2", 0)
"""A loopback address that is not the gateway's."""

_PHONES_AT_ONCE = 8


class Ask(NamedTuple):
    """One request: a GET, or the POST of a form."""

    path: str
    form: str | None = None


class Phone(NamedTuple):
    """A subscriber's phone. `alias` is None off the mobile network. `forges`: it claims another's alias."""

    alias: str | None
    media_type: str
    forges: bool
    asks: list[Ask]


class Counts:
    """What phones were answered, exact under threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def add(self, name: str) -> None:
        with self._lock:
            self._counts[name] += 1

    def __getitem__(self, name: str) -> int:
        return self._counts[name]


def phones(number: int, seed: int) -> Iterator[Phone]:
    """Make phones: one in ten off the mobile network, one in ten forging, one in four reading WML."""
    chance = random.Random(seed)
    for each in range(number):
        alias = None if each % 10 == 3 else f"{chance.randrange(9 * 10**11):012}"
        media_type = WML if chance.random() < 0.25 else HTML
        yield Phone(alias, media_type, each % 10 in (3, 7), list(_habits(chance)))


def _habits(chance: random.Random) -> Iterator[Ask]:
    """Make what one person asks for: mostly one category, at times a ringtone, seldom the settings."""
    favourite = chance.choice(CATEGORIES)
    yield Ask("/")
    if chance.random() < 0.2:
        yield Ask("/settings")
        yield Ask("/settings", f"font={chance.choice(FONTS)}&favourites={favourite}&name=Chlo%C3%A9")
    for _ in range(chance.randint(2, 12)):
        category = favourite if chance.random() < 0.7 else chance.choice(CATEGORIES)
        yield Ask(f"/news/{category}")
        if chance.random() < 0.2:
            yield Ask("/")
    if chance.random() < 0.3:
        yield Ask("/shop")
        yield Ask("/shop", f"sku={chance.choice(list(RINGTONES))}")


def play(everybody: list[Phone], gateway: str, site: str, *, seconds: float) -> Counts:
    """Let phones browse for at most so long, and give what they were answered.

    Off the mobile network a phone comes to the site directly, from an address that is no gateway's.
    """
    counts = Counts()
    end = time.monotonic() + seconds
    with ThreadPoolExecutor(_PHONES_AT_ONCE) as pool:
        for done in [pool.submit(_browse, phone, gateway, site, counts, end) for phone in everybody]:
            done.result()
    return counts


def _browse(phone: Phone, gateway: str, site: str, counts: Counts, end: float) -> None:
    address = urlsplit(site if phone.alias is None else gateway).netloc
    source = ELSEWHERE if phone.alias is None else None
    connection = http.client.HTTPConnection(address, timeout=20, source_address=source)
    try:
        for ask in phone.asks:
            if time.monotonic() > end:
                break
            _ask(connection, phone, ask, counts)
    finally:
        connection.close()


def _ask(connection: http.client.HTTPConnection, phone: Phone, ask: Ask, counts: Counts) -> None:
    headers = {"Accept": ACCEPTS[phone.media_type]}
    if phone.alias is not None:
        headers["X-Simulated-Subscriber"] = phone.alias
    if phone.forges:
        counts.add("forged requests")
        headers["WAP-Network-Info"] = headers["wap_network_info"] = f"mUserAlias:{VICTIM}"
    if ask.form is not None:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    method = "GET" if ask.form is None else "POST"
    connection.request(method, ask.path, ask.form, headers)
    answer = connection.getresponse()
    answer.read()
    who = "unrecognised" if phone.alias is None else "recognised"
    if method == "GET" and answer.status == 200 and answer.headers.get_content_type() == phone.media_type:
        counts.add(f"pages to {who}")
    elif method == "POST" and answer.status == 303:
        counts.add("purchases" if ask.path == "/shop" else "choices")
    elif answer.status != 403 or phone.alias is not None:
        counts.add("failures")
