"""The command as a process of its own: entry points, signals, the drainer and the gateway."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from alias_middleware import Tracker
from tests.cli.conftest import ALIAS
from tests.support.servers import waitress_server
from tests.support.waiting import PATIENCE, wait_until

COMMAND = [sys.executable, "-m", "alias_middleware"]


def ended(*arguments: str, command: list[str] = COMMAND) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=PATIENCE, check=False)


@contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    pipe = subprocess.PIPE
    with subprocess.Popen([*COMMAND, *arguments], stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def test_module_is_the_command(database: str) -> None:
    """`python -m alias_middleware` is the command line, with its exit codes and streams."""
    good = ended("stats", "--service", "ringtones", "--json")
    assert (good.returncode, good.stderr, json.loads(good.stdout)["visitors"]) == (0, "", 1)
    bad = ended("stats", "--service", "ringtones", "--zone", "Mars")
    assert (bad.returncode, bad.stdout) == (2, "")
    assert len(bad.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", [["stats", "--service=x"], ["drain", "--once"]], ids=["stats", "drain"])
def test_failure_is_one_line(database: str, tmp_path: Path, command: list[str]) -> None:
    """When the database cannot be read, stderr has one line: the log stays silent beside it."""
    (tmp_path / "alias.db").write_bytes(b"no database" * 1000)
    result = ended(*command)
    assert (result.returncode, result.stdout) == (1, "")
    assert len(result.stderr.splitlines()) == 1, result.stderr


def test_script_is_the_command() -> None:
    """The installed script `alias-middleware` is the same command line."""
    script = Path(sys.executable).with_name("alias-middleware")
    assert ended("--version", command=[str(script)]).stdout.startswith("alias-middleware, version ")


def test_without_click_the_command_says_how_to_install_it() -> None:
    """Without the extra `cli` the command exits with 2 and names what to install."""
    code = "import sys; sys.modules['click'] = None; from alias_middleware.cli import main; main()"
    result = ended(command=[sys.executable, "-c", code])
    assert result.returncode == 2
    assert result.stderr.splitlines() == [
        'alias-middleware: the command line needs click: pip install "alias-middleware[cli]"'
    ]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_drain_moves_events_until_told_to_stop(database: str, number: signal.Signals) -> None:
    """The drainer takes over what another process records, ends cleanly and lets another be the writer."""
    site = Tracker(service="ringtones", storage=database, trusted_gateways=[], writer="external")
    with started("drain", "--json") as drainer:
        assert drainer.stderr is not None
        assert "Draining" in drainer.stderr.readline()
        site.visitor(ALIAS).show("/while-it-runs")
        wait_until(lambda: site.counters()["stored"] == 4, "the event is in the storage")
        site.visitor(ALIAS).show("/at-the-end")
        drainer.send_signal(number)
        output, errors = drainer.communicate(timeout=PATIENCE)
    assert (drainer.returncode, errors) == (0, "")
    counters = json.loads(output)
    assert (counters["stored"], counters["spooled"]) == (5, 0)
    assert site.drain()
    site.close()


def test_drain_outlives_a_storage_that_fails(database: str, tmp_path: Path) -> None:
    """While the database cannot be read the drainer waits, with one line in its log, and then goes on."""
    site = Tracker(service="ringtones", storage=database, trusted_gateways=[], writer="external")
    site.visitor(ALIAS).show("/waits")
    file, kept = tmp_path / "alias.db", tmp_path / "kept.db"
    file.rename(kept)
    file.mkdir()
    with started("drain", "--json") as drainer:
        assert drainer.stderr is not None
        assert "Draining" in drainer.stderr.readline()
        assert "the storage fails" in drainer.stderr.readline()
        file.rmdir()
        kept.rename(file)
        wait_until(lambda: site.counters()["stored"] == 4, "the event is in the storage")
        drainer.terminate()
        output, _ = drainer.communicate(timeout=PATIENCE)
    assert drainer.returncode == 0
    assert json.loads(output)["spooled"] == 0
    site.close()


def site_that_tells(environ: dict[str, str], start_response: Callable[..., object]) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ.get("HTTP_WAP_NETWORK_INFO", "nobody").encode()]


def test_gateway_serves_as_the_operators_until_told_to_stop() -> None:
    """It prints the address to open, names the subscriber to the site, and ends cleanly at SIGTERM."""
    other = "000000000002"
    with waitress_server(site_that_tells) as port:
        arguments = ["--upstream", f"http://127.0.0.1:{port}", "--alias", ALIAS, "--alias", other]
        with started("gateway", *arguments, "--listen", "127.0.0.1:0") as gateway:
            assert gateway.stdout is not None
            url = gateway.stdout.readline().split()[1]
            assert told(url, {}) == f"mUserAlias:{ALIAS}"
            assert told(url, {"X-Simulated-Subscriber": other}) == f"mUserAlias:{other}"
            gateway.send_signal(signal.SIGTERM)
            _, errors = gateway.communicate(timeout=PATIENCE)
        assert (gateway.returncode, errors) == (0, "")


def test_gateway_says_as_json_where_it_listens() -> None:
    """One line, as soon as it serves: a program that starts it waits for no more, and asks by what it says."""
    with waitress_server(site_that_tells) as port:
        site = f"http://127.0.0.1:{port}"
        arguments = ["--upstream", site, "--alias", ALIAS, "--listen", "127.0.0.1:0"]
        with started("gateway", *arguments, "--json") as gateway:
            assert gateway.stdout is not None
            document = json.loads(gateway.stdout.readline())
            assert told(document.pop("url"), {}) == f"mUserAlias:{ALIAS}"
            gateway.send_signal(signal.SIGTERM)
            rest = gateway.communicate(timeout=PATIENCE)
    assert document == {"upstream": site, "aliases": [ALIAS]}
    assert (gateway.returncode, rest) == (0, ("", ""))


def told(url: str, headers: dict[str, str]) -> str:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=PATIENCE)
    connection.request("GET", "/", headers=headers)
    text = connection.getresponse().read().decode()
    connection.close()
    return text


def test_taken_port_is_a_failure() -> None:
    """A port that somebody else listens on exits with 1 and one line."""
    with waitress_server(site_that_tells) as port:
        arguments = ["--upstream", f"http://127.0.0.1:{port}", "--alias", ALIAS, "--listen", f"127.0.0.1:{port}"]
        result = ended("gateway", *arguments)
    assert result.returncode == 1
    assert result.stderr.splitlines() == [f"Error: {os.strerror(98)}"]
