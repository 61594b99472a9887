"""Every block of code in the documentation and the README is run, or its commands are checked."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import click
import pytest

from tests.support.pages import blocks, commands, name_of, pages
from tests.support.reader import Tutorial, run_python, surroundings
from tests.support.real import require_module

TUTORIALS = [page for page in pages() if any(block.kind.startswith("output") for block in blocks(page))]
OTHERS = [page for page in pages() if page not in TUTORIALS and blocks(page)]
WITH_PYTHON = [page for page in OTHERS if any(block.language == "python" for block in blocks(page))]
COMMANDS = [
    pytest.param(words, id=" ".join(words)[:70])
    for page in pages()
    for block in blocks(page)
    if block.language == "sh"
    for words in commands(block)
    if words[0] == "alias-middleware"
]
SERVERS = [
    pytest.param(words, id=" ".join(words)[:70])
    for page in pages()
    for block in blocks(page)
    if block.language == "sh"
    for words in commands(block)
    if words[0] in {"gunicorn", "uvicorn"}
]
NOTEBOOKS = ("pandas", "polars")
FOREIGN = {"ini", "text"}
"""Languages of blocks that show something instead of telling the reader to type it."""


@pytest.mark.parametrize("page", WITH_PYTHON, ids=name_of)
def test_python_runs_as_it_stands(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page's Python blocks run from the top, each with what those before it made."""
    pytest.importorskip("fastapi")
    pytest.importorskip("flask_login")
    for module in NOTEBOOKS:
        if any(f"import {module}\n" in block.text for block in blocks(page)):
            require_module(module)
    monkeypatch.chdir(tmp_path)
    with surroundings(tmp_path) as names:
        for block in blocks(page):
            if block.kind == "file":
                Path(block.about).write_text(block.text, encoding="utf-8")
            elif block.language == "python":
                run_python(block, names)


@pytest.mark.once
@pytest.mark.parametrize("page", TUTORIALS, ids=name_of)
def test_tutorial_works_as_written(page: Path, tmp_path: Path) -> None:
    """Who types a tutorial's files and commands gets the answers it shows."""
    pytest.importorskip("fastapi")
    with Tutorial(tmp_path) as tutorial:
        for block in blocks(page):
            tutorial.follow(block)


@pytest.mark.parametrize("words", COMMANDS)
def test_commands_are_understood(words: list[str]) -> None:
    """Every command of ours that a page names exists, with its options."""
    pytest.importorskip("click")
    from alias_middleware.cli.commands import standalone

    group: click.Command = standalone()
    arguments = words[1:]
    context = click.Context(group)
    while isinstance(group, click.Group) and arguments and not arguments[0].startswith("-"):
        name, found, arguments = group.resolve_command(context, arguments)
        assert name is not None
        assert found is not None
        group = found
    with suppress(click.exceptions.Exit):  # --help
        problem = _problem(group, words[0], arguments)
        assert not problem or "does not exist" in problem  # a file of the reader's own


def _problem(command: click.Command, name: str, arguments: list[str]) -> str:
    """Say what is wrong with a command's arguments."""
    try:
        command.make_context(name, arguments)
    except click.UsageError as error:
        return error.message
    return ""


@pytest.mark.parametrize("words", SERVERS)
def test_options_of_servers_exist(words: list[str]) -> None:
    """Every option of gunicorn and uvicorn that a page names is one of theirs."""
    known = _options_of(words[0])
    assert [word for word in words if word.startswith("--") and word.partition("=")[0] not in known] == []


def _options_of(server: str) -> set[str]:
    if server == "uvicorn":
        from uvicorn.main import main

        return {option for each in main.params for option in (*each.opts, *each.secondary_opts)}
    from gunicorn.config import Config

    return {option for action in Config().parser()._actions for option in action.option_strings}


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_every_block_says_what_it_is(page: Path) -> None:
    """A block is run, checked or shown; none is in a language that nobody looks at."""
    known = {"python", "sh", "sql", *FOREIGN}  # the test of the views runs the SQL
    assert [block.place for block in blocks(page) if block.language not in known] == []


def test_a_block_carries_its_mark(tmp_path: Path) -> None:
    """The comment before a block is its mark, with or without an empty line between."""
    page = tmp_path / "page.md"
    page.write_text("a\n\n<!-- file: shop.py -->\n\n```python\nx = 1\n```\n\n```sh\nls  # all\n```\n")
    first, second = blocks(page)
    assert (first.kind, first.about, first.text, first.line) == ("file", "shop.py", "x = 1\n", 6)
    assert (second.kind, commands(second)) == ("", [["ls"]])
