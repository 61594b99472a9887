"""Simulated phones: they live a week of the simulated life at once, and what they were answered is counted."""

import http.client
import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import NamedTuple
from urllib.parse import urlsplit

from alias_middleware.testing.simulation import Life, Step
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
    """Make phones: one in ten off the mobile network, one in ten forging, one in four reading WML.

    Everybody opens the front page first, at times the settings; the rest is his week of the simulated life.
    """
    life = Life(subscribers=number, days=7, seed=seed, first_day=date(2026, 1, 5), visits_a_day=0.25)
    asks: defaultdict[int, list[Ask]] = defaultdict(list)
    for step in life.steps():
        asks[step.subscriber] += _asks(step)
    chance = random.Random(seed)
    for each in range(number):
        alias = None if each % 10 == 3 else life.alias(each)
        if alias == VICTIM:
            continue
        media_type = WML if chance.random() < 0.25 else HTML
        first = [Ask("/"), *_settings(chance, life.planted(each))]
        yield Phone(alias, media_type, each % 10 in (3, 7), first + asks[each])


def _asks(step: Step) -> Iterator[Ask]:
    """Say what a step of the life is on this site: what it has no page about is on its front page."""
    if step.kind == "view":
        category = step.path.split("/")[1]
        yield Ask(f"/news/{category}" if category in CATEGORIES else "/")
    elif step.kind == "purchase":
        tones = [sku for sku, tone in RINGTONES.items() if tone.category == step.category] or list(RINGTONES)
        yield Ask("/shop")
        yield Ask("/shop", f"sku={tones[step.subscriber % len(tones)]}")


def _settings(chance: random.Random, planted: Collection[str]) -> Iterator[Ask]:
    """Let one in five choose a font and say what he favours, as far as the site has it."""
    if chance.random() < 0.2:
        favourites = "".join(f"&favourites={category}" for category in CATEGORIES if category in planted)
        yield Ask("/settings")
        yield Ask("/settings", f"font={chance.choice(FONTS)}{favourites}&name=Chlo%C3%A9")


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
