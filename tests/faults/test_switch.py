"""A site under load moves from its SQLite file to PostgreSQL by the documented recipe: nobody is stopped."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.faults.load import Clients, mixed, reckon
from tests.support.pages import blocks, commands
from tests.support.postgresql import PostgreSQLServer, debian_programs, postgresql_server
from tests.support.processes import ROOT, make_tracker, process, wait_until_ready
from tests.support.waiting import PATIENCE, wait_until


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQLServer]:
    """A server that nobody else uses."""
    with postgresql_server(debian_programs()) as server:
        yield server


def command(*arguments: str, keys: str = "") -> str:
    """Run `alias-middleware`, which must succeed, and give what it wrote."""
    done = subprocess.run(
        [sys.executable, "-m", "alias_middleware", *arguments],
        env=os.environ | {"ALIAS_SECRET_KEYS": keys}, cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


class Move:
    """A site on a socket, its phones, and the way from the old storage to the new one."""

    def __init__(self, stack: ExitStack, edge: str, folder: Path, url: str) -> None:
        self._stack = stack
        self._edge = edge
        self._folder = folder
        self._listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=128))
        self.old, self.new = f"sqlite:///{folder}/alias.db", url
        self.settings: dict[str, Any] = {}

    def serve(self, **settings: Any) -> subprocess.Popen[str]:
        """Start a process of the site."""
        number = self._listener.fileno()
        site = process(self._edge, self._folder / "alias.db", number, json.dumps(settings), inherit=(number,))
        started = self._stack.enter_context(site)
        wait_until_ready(started)
        return started

    def phones(self) -> Clients:
        """Begin to browse."""
        return mixed(self._listener.getsockname()[1], clients=3)

    def new_settings(self, keys: str) -> dict[str, Any]:
        """What the recipe changes in the site's settings."""
        return {"storage": self.new, "secret_keys": [keys], "spool": f"{self._folder}/alias.db-spool"}


@pytest.mark.parametrize("edge", ["serve_asgi", "serve_wsgi"])
def test_a_switch_under_load(edge: str, server: PostgreSQLServer, tmp_path: Path) -> None:
    """Every page is answered; what was acknowledged is in the new storage, once; every total was equal."""
    with ExitStack() as stack:
        move = Move(stack, edge, tmp_path, server.url(schema=f"switch_{edge}"))
        before = move.serve()
        with move.phones() as phones:
            phones.served(150)
            move_under_load(move, before, phones)
            phones.served(100)
        tracker = make_tracker("unused", **move.settings, writer="external")
        stack.callback(tracker.close)
        wait_until(lambda: tracker.counters()["seen"] >= phones.brought(), "all is counted")  # type: ignore[operator]
        found = reckon(tracker, phones)
        assert (found.lost, found.doubled, found.invented, found.dropped) == (0, 0, 0, 0), found
        assert found.unanswered <= 3, found  # one of each phone, whose server went away
        assert tracker.storage.verify(0, 2**20) == []


def recipe(move: Move) -> list[list[str]]:
    """The commands of the page, in their order, with the URLs of this move."""
    page = ROOT / "docs" / "howto" / "move.md"
    ours = {"sqlite:///alias.db": move.old, "postgresql://site@db.example/audience": move.new}
    return [
        [ours.get(word, word) for word in words[1:]]
        for block in blocks(page)
        if block.language == "sh"
        for words in commands(block)
    ]


def move_under_load(move: Move, before: subprocess.Popen[str], phones: Clients) -> None:
    """Do what the page says, while the phones go on."""
    of_the_page = recipe(move)
    keys = command(*of_the_page[0])
    for arguments in of_the_page[1:3]:
        command(*arguments, keys=keys)
        phones.served(50)
    move.settings = move.new_settings(keys)
    move.serve(**move.settings)
    phones.served(50)
    before.terminate()
    before.wait(PATIENCE)
