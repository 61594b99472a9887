"""`doctor` as a publisher types it: what it shows, how it exits, where it gets the settings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from alias_middleware import Tracker
from alias_middleware.flask import Alias
from alias_middleware.wsgi import AliasMiddleware
from tests.cli.conftest import Run, error_line, leave_in_spool
from tests.support.servers import waitress_server

SHORT = "--wait=0.2"
KEY = "Jd8-3kfLq0_sPz7Wn1yVbXc5TgRhMuAe"


def page(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/html")])
    return [b"hello"]


@pytest.fixture
def site(database: str) -> Iterator[str]:
    """The URL of a site that serves, trusts this machine with a secret only, and drains its spool."""
    tracker = Tracker(
        service="ringtones",
        storage=database,
        trusted_gateways=["127.0.0.1"],
        gateway_secret=("x-gateway-key", KEY),
    )
    with waitress_server(AliasMiddleware(page, tracker=tracker)) as port:
        yield f"http://127.0.0.1:{port}/"
    tracker.close()


def findings(document: dict[str, Any], check: str) -> list[str]:
    return [finding["level"] for finding in document["findings"] if finding["check"] == check]


def test_doctor_tells_all_it_found_in_a_table(database: str, run: Run) -> None:
    """Each line says how bad, of what, what was measured and what to do; the worst stands first."""
    leave_in_spool(Path(database.removeprefix("sqlite:///") + "-spool"))
    result = run("doctor", "--service=ringtones", "--trusted-gateways=0.0.0.0/0", SHORT)
    lines = result.stdout.splitlines()
    assert lines[1].split() == ["level", "check", "measured", "remedy"]
    levels = [line.split()[0] for line in lines[2:]]
    assert levels == sorted(levels, key=["fail", "warn", "ok"].index)
    assert "trusts everyone" in result.stdout
    assert "nobody drains" in result.stdout
    assert result.exit_code == 1


def test_doctor_as_json(site: str, run: Run) -> None:
    """The same with the forgeries one by one; a site that asks for a secret withstands them all."""
    arguments = ("doctor", "--service=ringtones", "--trusted-gateways=127.0.0.1", "--url", site, "--json")
    document = json.loads(run(*arguments, ALIAS_GATEWAY_SECRET=f"x-gateway-key: {KEY}").stdout)
    assert findings(document, "forgeries") == ["ok"]
    assert findings(document, "drainer") == ["ok"]
    assert not any(shot["named"] for shot in document["forgeries"])
    assert "secret in capitals" in {shot["forgery"] for shot in document["forgeries"]}
    assert KEY not in json.dumps(document)


def test_doctor_plays_the_gateway_with_its_secret(site: str, run: Run) -> None:
    """The secret from the environment is what the site asks for."""
    arguments = ("doctor", "--service=ringtones", "--url", site, "--as-gateway", "--json", SHORT)
    document = json.loads(run(*arguments, ALIAS_GATEWAY_SECRET=f"x-gateway-key: {KEY}").stdout)
    assert findings(document, "forgeries") == ["ok"]
    assert findings(json.loads(run(*arguments).stdout), "gateway") == ["fail"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        pytest.param(["--trusted-gateways=0.0.0.0/0"], 1, id="a failure"),
        pytest.param(["--trusted-gateways=10.0.0.0/8", "--strict"], 1, id="a warning, strictly"),
    ],
)
def test_exit_code_says_it(database: str, run: Run, arguments: list[str], code: int) -> None:
    """1 for a failure, and strictly for a warning."""
    assert run("doctor", "--service=ringtones", SHORT, *arguments).exit_code == code


def test_warnings_do_not_fail(site: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deployment that has warnings only passes, unless it is to be strict."""
    monkeypatch.setattr("alias_middleware.doctor.machine._VOLATILE", frozenset())  # wherever the tests' files are
    assert run("doctor", "--service=ringtones", "--trusted-gateways=10.0.0.0/8", "--url", site).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["--url=ftp://a"], "http://host/page", id="no URL"),
        pytest.param(["--as-gateway"], "--url", id="a gateway to nowhere"),
        pytest.param(["--trusted-gateways=here"], "trusted_gateways", id="no address"),
        pytest.param(["--app=nowhere"], "MODULE:NAME", id="no reference"),
        pytest.param(["--app=no.such.module:app"], "cannot be imported", id="no module"),
        pytest.param(["--app=json:dumps"], "no AliasMiddleware", id="another app"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(database: str, run: Run, arguments: list[str], said: str) -> None:
    """A wrong option exits with 2 and says why."""
    result = run("doctor", "--service=ringtones", *arguments)
    assert result.exit_code == 2
    assert said in error_line(result)


def test_secret_has_to_be_a_header_line(database: str, run: Run) -> None:
    """What is no line is refused, and not shown."""
    result = run("doctor", "--service=ringtones", ALIAS_GATEWAY_SECRET="justthevalue")
    assert result.exit_code == 2
    assert "name: value" in error_line(result)
    assert "justthevalue" not in result.output


def test_flask_alias_has_it_with_the_apps_settings(database: str) -> None:
    """No setting is an option there: the app's own trust is examined."""
    app = Flask("site")
    Alias(app, service="ringtones", storage=database, trusted_gateways=["0.0.0.0/0"])
    result = app.test_cli_runner().invoke(args=["alias", "doctor", SHORT, "--json"])
    assert result.exit_code == 1
    assert findings(json.loads(result.stdout), "trust") == ["fail"]
