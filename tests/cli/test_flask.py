"""`flask alias`: the same commands with the app's own tracker."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from flask import Flask

from alias_middleware.flask import Alias
from tests.cli.conftest import ALIAS, error_line


def app_on(storage: str) -> Flask:
    app = Flask("site")
    Alias(app, service="ringtones", storage=storage, trusted_gateways=[])
    return app


def test_app_supplies_the_settings(database: str) -> None:
    """No option is needed: storage and service are the app's."""
    result = app_on(database).test_cli_runner().invoke(args=["alias", "stats", "--json"])
    assert result.exit_code == 0
    assert json.loads(result.stdout)["visitors"] == 1


def test_settings_are_no_options(database: str) -> None:
    """What the app says cannot be said otherwise on the command line."""
    result = app_on(database).test_cli_runner().invoke(args=["alias", "stats", "--service", "x"])
    assert result.exit_code == 2
    assert "--service" in error_line(result)


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["visitor", ALIAS], id="visitor"),
        pytest.param(["drain", "--once"], id="drain"),
        pytest.param(["keys"], id="keys"),
    ],
)
def test_every_command_is_there(database: str, arguments: list[str]) -> None:
    """The other commands work the same."""
    result = app_on(database).test_cli_runner().invoke(args=["alias", *arguments])
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout


def test_rich_is_not_needed(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With Flask but without the extra `cli` the figures come as text."""
    monkeypatch.setitem(sys.modules, "rich", None)
    result = app_on(database).test_cli_runner().invoke(args=["alias", "stats"])
    assert result.exit_code == 0
    assert "page views" in result.stdout


def test_app_with_memory_is_told_why_not(tmp_path: Path) -> None:
    """An app whose data is in its process has nothing to show to another."""
    result = app_on("memory://").test_cli_runner().invoke(args=["alias", "stats"])
    assert result.exit_code == 2
    assert "own process" in error_line(result)
