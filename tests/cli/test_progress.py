"""How far a long command has come."""

from __future__ import annotations

import sys

import pytest

from alias_middleware.cli.progress import Watched, progress
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


def test_a_file_sees_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """No bar goes where nobody looks."""
    hand_over(2)
    assert capsys.readouterr().err == ""
