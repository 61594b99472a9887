"""How far a long command has come."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import pytest

from alias_middleware.cli.commands import standalone
from alias_middleware.cli.progress import Watched, progress, stepping
from alias_middleware.errors import NotAccepted
from alias_middleware.transport import Outgoing
from tests.cli.test_tables import Terminal


def hand_over(messages: int) -> None:
    """Send messages, each of which the gateway refuses."""

    class Gateway:
        def send(self, message: Outgoing) -> None:
            raise NotAccepted(reason="refused")

    with progress("noel: messages handed over") as step:
        for number in range(messages):
            with pytest.raises(NotAccepted):
                Watched(Gateway(), step).send(Outgoing(str(number), "314522927347", "36123", "Bonjour"))


def test_a_terminal_sees_each_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that were not taken as well; and nobody's alias."""
    pytest.importorskip("rich")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    hand_over(3)
    assert "noel: messages handed over" in terminal.getvalue()
    assert "3/?" in terminal.getvalue()
    assert "314522927347" not in terminal.getvalue()


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        pytest.param(["simulate", "--log", "life.log"], ["page views", r"[1-9]\d+/\?"], id="a simulated log"),
        pytest.param(["simulate", "--purchases", "life.csv"], ["lines of orders", r"[1-9]\d*/\?"], id="orders"),
        pytest.param(["simulate", "--storage", "memory://"], ["events", r"[1-9]\d+/\?"], id="a simulated storage"),
        pytest.param(["verify"], ["verify", r"\d:\d\d:\d\d"], id="verify"),
        pytest.param(["privacy", "purge"], ["purge", r"\d:\d\d:\d\d"], id="purge"),
        pytest.param(
            ["import", "suppressions", "optouts.csv"],
            [r"optouts\.csv: opt-outs", "2/2"],
            id="opt-outs",
        ),
    ],
)
@pytest.mark.parametrize("stream", [Terminal, io.StringIO])
def test_long_commands_are_followed_on_a_terminal_only(
    database: str,
    arguments: list[str],
    shown: list[str],
    stream: type[io.StringIO],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The bar is on stderr; nobody's alias is in it."""
    pytest.importorskip("rich")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ALIAS_SERVICE", "ringtones")
    (tmp_path / "optouts.csv").write_text("alias\n314522927347\n000000000001\n")
    errors = stream()
    monkeypatch.setattr(sys, "stderr", errors)
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    small = ["--subscribers", "20", "--days", "20"] if arguments[0] == "simulate" else []
    standalone().main([*arguments, *small], standalone_mode=False)
    if stream is Terminal:
        assert all(re.search(pattern, errors.getvalue()) for pattern in shown), errors.getvalue()
        assert "314522927347" not in errors.getvalue()
    else:
        assert errors.getvalue() == ""


def test_many_items_are_told_by_the_thousand() -> None:
    """Each is handed on, and at last all of them are told."""
    told: list[int] = []
    assert list(stepping(range(2500), told.append)) == list(range(2500))
    assert told == [1000, 1000, 500]


def test_a_file_sees_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """No bar goes where nobody looks."""
    hand_over(2)
    assert capsys.readouterr().err == ""
