"""A reader who types what a page says: Python blocks in order, and tutorials with their files and commands."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from alias_middleware import Tracker
from tests.support.pages import Block, commands
from tests.support.real import free_port, require_program, running

_PATIENCE = 30.0
_PROGRAMS = str(Path(sys.executable).parent)


@contextmanager
def surroundings(folder: Path) -> Iterator[dict[str, Any]]:
    """Give what a reader has before he types the code of a page: an app, a tracker, and a visitor in hand."""
    flask = pytest.importorskip("flask")
    tracker = Tracker(
        service="sonneries",
        storage=f"sqlite:///{folder / 'visitor.db'}",
        trusted_gateways=["127.0.0.1"],
        raise_errors=True,
    )
    names: dict[str, Any] = {
        "app": flask.Flask("snippet"),
        "application": lambda environ, start_response: [b""],
        "tracker": tracker,
        "visitor": tracker.visitor("314522927347"),
    }
    try:
        yield names
    finally:
        for each in [tracker, *names.values()]:
            if isinstance(each, Tracker):
                each.close()


def run_python(block: Block, names: dict[str, Any]) -> None:
    """Run a block of Python; an error's traceback names the page and the line."""
    padded = "\n" * (block.line - 1) + block.text
    exec(compile(padded, block.place.rpartition(":")[0], "exec"), names)


class Tutorial:
    """A tutorial being followed in a folder. Ports that its pages name are replaced by free ones."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports: dict[str, int] = {}
        self._servers: dict[str, ExitStack] = {}
        self._printed = ""

    def __enter__(self) -> Tutorial:
        return self

    def __exit__(self, *exit_: object) -> None:
        for server in reversed(self._servers.values()):
            server.close()

    def follow(self, block: Block) -> None:
        """Do what a block says.

        Marks: `file: NAME` and `append: NAME` keep it in a file; `server: PORT` starts it, anew if it runs
        already, and waits for the port; `output` is all that the commands before it printed, `output has` are
        lines of that; `install` is not run.
        """
        match block.kind:
            case "file" | "append":
                with (self._folder / block.about).open("w" if block.kind == "file" else "a") as file:
                    file.write(block.text)
            case "server":
                self._serve(block)
            case "output":
                assert self._printed.strip() == self._local(block.text).strip(), block.place
            case "output has":
                printed = " ".join(self._printed.split())
                for line in block.text.splitlines():
                    assert " ".join(self._local(line).split()) in printed, (
                        f"{block.place}: {line}\n{self._printed}"
                    )
            case "install":
                assert all(words[:2] == ["pip", "install"] for words in commands(block)), block.place
            case "" if block.language == "text":
                pass  # shown
            case "":
                assert block.language == "sh", f"{block.place}: what is to be done with it?"
                self._run(block)
            case other:
                pytest.fail(f"{block.place}: {other} is no mark of a tutorial")

    def _local(self, text: str) -> str:
        for port, free in self._ports.items():
            text = text.replace(f":{port}", f":{free}").replace(f"--port {port}", f"--port {free}")
        return text

    def _environment(self) -> dict[str, str]:
        paths = os.pathsep.join([_PROGRAMS, os.environ.get("PATH", "")])
        python_path = os.pathsep.join(filter(None, [str(self._folder), os.environ.get("PYTHONPATH", "")]))
        return {**os.environ, "PATH": paths, "PYTHONPATH": python_path, "PYTHONDONTWRITEBYTECODE": "1"}

    def _serve(self, block: Block) -> None:
        if block.about in self._servers:
            self._servers.pop(block.about).close()
        free = self._ports.setdefault(block.about, free_port())
        (words,) = commands(block._replace(text=self._local(block.text)))
        require_program(words[0])
        command = ["env", "-C", str(self._folder), *words]
        stack = self._servers[block.about] = ExitStack()
        log = self._folder / f"{block.about}.log"
        stack.enter_context(running(command, port=free, log=log, environment=self._environment()))

    def _run(self, block: Block) -> None:
        for words in commands(block):
            require_program(words[0])
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self._local(block.text)],
            check=False,
            cwd=self._folder,
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
        )
        assert done.returncode == 0, f"{block.place}: {done.stderr}{done.stdout}"
        self._printed = done.stdout
