"""`alias-middleware dashboard` as users run it: a process, a browser's requests, a signal."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx2
import pytest
from click.testing import CliRunner

from alias_middleware.cli import dashboard
from alias_middleware.cli.commands import standalone
from tests.cli.conftest import Run, error_line
from tests.cli.test_process import started

PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def _no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ALIAS_DASHBOARD_PASSWORD", raising=False)


def address_of(process: subprocess.Popen[str]) -> str:
    """Read the line that says where to look."""
    assert process.stdout is not None
    found = re.fullmatch(r"Open (http://\S+)\n", process.stdout.readline())
    assert found is not None
    return found[1]


def token_in(page: str) -> str:
    found = re.search(r'name="token" value="([^"]+)"', page)
    assert found is not None
    return found[1]


@pytest.fixture
def browser() -> Iterator[httpx2.Client]:
    with httpx2.Client(timeout=30) as client:
        yield client


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_it_opens_by_the_printed_link(database: str, browser: httpx2.Client, number: signal.Signals) -> None:
    """Without a password the link opens once; the figures of the storage are there; a signal ends it cleanly."""
    with started("dashboard", "--service", "ringtones", "--port", "0") as process:
        link = address_of(process)
        root, _, path = link.partition("/enter/")
        assert browser.get(f"{root}/").headers["location"] == "/login"
        form = {"token": token_in(browser.get(link).text), "link": path}
        assert browser.post(f"{root}/login", data=form).status_code == 303
        page = browser.get(f"{root}/")
        assert (page.status_code, 'data-figure="visitors">1<' in page.text) == (200, True)
        assert page.text.count("<svg ") > 5
        process.send_signal(number)
        assert process.wait(20) == 0
        assert process.stderr is not None
        assert process.stderr.read() == "Ctrl-C ends it.\n"


def test_it_opens_by_the_password(database: str, browser: httpx2.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a password in the environment no link is printed; behind a proxy's path all stays below it."""
    monkeypatch.setenv("ALIAS_DASHBOARD_PASSWORD", PASSWORD)
    with started("dashboard", "--service", "ringtones", "--port", "0", "--root-path", "/stats/") as process:
        address = address_of(process)
        assert address.endswith("/stats/")
        root = address.removesuffix("/stats/")
        login = browser.get(f"{root}/login")
        form = {"token": token_in(login.text), "password": PASSWORD}
        nonce = login.headers["set-cookie"].partition(";")[0]  # of a path that only the proxy's visitors see
        answer = browser.post(f"{root}/login", data=form, headers={"Cookie": nonce})
        assert (answer.status_code, answer.headers["location"]) == (303, "/stats/")
        assert "Path=/stats/" in answer.headers["set-cookie"]
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0


def test_a_port_in_use_is_told(database: str, run: Run) -> None:
    """Another program listens there already."""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        result = run("dashboard", "--service", "ringtones", "--port", str(port))
    assert result.exit_code == 1
    assert error_line(result).endswith(f"cannot listen on 127.0.0.1:{port}: Address already in use")


def test_a_database_that_is_not_there_is_told(tmp_path: Path) -> None:
    """A mistyped path shows no noughts."""
    options = ["--service", "ringtones", "--storage", f"sqlite:///{tmp_path}/none.db"]
    result = CliRunner().invoke(standalone(), ["dashboard", *options])
    assert (result.exit_code, "there is no" in error_line(result)) == (1, True)
    assert list(tmp_path.iterdir()) == []


def test_a_short_password_is_told(database: str, run: Run) -> None:
    """A password that is guessed too soon does not start."""
    result = run("dashboard", "--service", "ringtones", "--port", "0", ALIAS_DASHBOARD_PASSWORD="short")
    assert (result.exit_code, "8 characters" in error_line(result)) == (2, True)


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        pytest.param("127.0.0.1", "http://127.0.0.1:80/", id="IPv4"),
        pytest.param("::1", "http://[::1]:80/", id="IPv6, in brackets"),
    ],
)
def test_where_to_look(host: str, shown: str) -> None:
    """The address is one that a browser takes."""
    assert dashboard.address(host, 80, "/") == shown
