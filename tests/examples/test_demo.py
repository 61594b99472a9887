"""The demonstration: a real server, a simulated gateway, traffic, and a verdict."""

from __future__ import annotations

import http.client
import re
import signal
import subprocess
import sys
from datetime import date
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from alias_middleware.statistics import Summary, Totals, summarise
from alias_middleware.testing.simulation import Life
from examples.demo import differences, verdict
from examples.site import CATEGORIES
from examples.traffic import Counts, phones

CHECKOUT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "examples.demo"]


@pytest.mark.once
@pytest.mark.parametrize("app", ["flask", "starlette"])
def test_demonstration_ends_by_itself_with_every_page_recorded(app: str) -> None:
    """It plays its phones, shows figures and counters, and exits with 0: all was recorded, nothing forged."""
    result = subprocess.run(
        [*COMMAND, "--app", app, "--subscribers", "20"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    pages = re.search(r"Pages answered to recognised phones: (\d+), recorded: (\d+)", result.stdout)
    assert pages is not None
    assert int(pages[1]) == int(pages[2]) > 50
    assert re.search(r"Forged requests: [1-9]\d*, of which got through: 0", result.stdout)
    assert re.search(r"  visitors +18  distinct aliases", result.stdout)
    assert "Counters" in result.stdout


def test_serving_goes_on_until_told_to_stop() -> None:
    """With --serve two subscribers and a stranger have an address each to open; SIGINT ends it and its server."""
    pipe = subprocess.PIPE
    command = [*COMMAND, "--serve", "--port", "0", "--app", "starlette"]
    with subprocess.Popen(command, cwd=CHECKOUT, stdout=pipe, stderr=pipe, text=True) as demo:
        try:
            assert demo.stdout is not None
            urls = [demo.stdout.readline().split()[1] for _ in range(3)]
            footers = ["pages seen" in page(url) for url in urls]
        finally:
            demo.send_signal(signal.SIGINT)
        try:
            _, errors = demo.communicate(timeout=30)
        finally:
            demo.kill()  # where SIGINT is ignored, as in a background job, it would never end
    assert footers == [True, True, False]
    assert (demo.returncode, errors) == (0, "")
    with pytest.raises(ConnectionRefusedError):
        page(urls[2])


def page(url: str) -> str:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    try:
        connection.request("GET", "/", headers={"Accept": "text/html"})
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def summary(page_views: int = 0) -> Summary:
    day = date(2026, 3, 1)
    return summarise(Totals(page_views=page_views), service="s", since=day, until=day, zone="UTC")


def counts(*names: str) -> Counts:
    counted = Counts()
    for name in names:
        counted.add(name)
    return counted


@pytest.mark.parametrize(
    ("recorded", "answered", "forged", "code"),
    [
        pytest.param(1, ["pages to recognised"], 0, 0, id="all is well"),
        pytest.param(0, ["pages to recognised"], 0, 1, id="a page was lost"),
        pytest.param(2, ["pages to recognised"], 0, 1, id="a page was counted twice"),
        pytest.param(1, ["pages to recognised", "pages to unrecognised"], 0, 1, id="a stranger's page was lost"),
        pytest.param(1, ["pages to recognised", "purchases"], 0, 1, id="an order was lost"),
        pytest.param(1, ["pages to recognised"], 1, 1, id="a forged header got through"),
        pytest.param(1, ["pages to recognised", "failures"], 0, 1, id="a request failed"),
    ],
)
def test_verdict_is_exact(recorded: int, answered: list[str], forged: int, code: int) -> None:
    """The exit code is 0 only when what was recorded is what was answered."""
    assert verdict(summary(recorded), counts(*answered), forged) == code


def test_differences_name_the_figure() -> None:
    """What does not agree is named, with both numbers."""
    assert differences(summary(2), counts()) == ["page views: 2 recorded, 0 answered"]


def test_phones_are_the_same_for_the_same_seed() -> None:
    """A seed decides who the phones are and what they ask for."""
    assert list(phones(30, 7)) == list(phones(30, 7)) != list(phones(30, 8))


def test_phones_live_the_simulated_life() -> None:
    """What they look at most is what was planted, they buy as often as it says, and ask for what the site has."""
    life = Life(subscribers=300, days=7, seed=1, first_day=date(2026, 1, 5), visits_a_day=0.25)
    everybody = list(phones(300, 1))
    assert [phone.alias for phone in everybody if phone.alias] == [
        life.alias(number) for number in range(300) if number % 10 != 3
    ]
    asks = [ask for phone in everybody for ask in phone.asks]
    orders = sum(ask.path == "/shop" and ask.form is not None for ask in asks)
    assert orders == sum(step.kind == "purchase" for step in life.steps()) > 0
    assert {ask.path for ask in asks} == {"/", "/settings", "/shop", *(f"/news/{name}" for name in CATEGORIES)}
    loyal = [
        f"/news/{category}" in {ask.path for ask in phone.asks}
        for number, phone in enumerate(everybody)
        for category in life.planted(number) & set(CATEGORIES)
        if len(phone.asks) > 20
    ]
    assert len(loyal) > 30
    assert sum(loyal) >= 0.9 * len(loyal)
