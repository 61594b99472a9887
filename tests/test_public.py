"""What the project promises in public: names, snippets, commands, and that every file keeps its place."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
import pytest

import alias_middleware
from alias_middleware import Tracker
from alias_middleware.settings import Settings

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)

PUBLIC = {
    "alias_middleware": [
        "AliasError",
        "HeaderAlias",
        "Item",
        "Tracker",
        "Visitor",
        "WapNetworkInfo",
        "current_visitor",
    ],
    "alias_middleware.wsgi": ["AliasMiddleware", "ENVIRON_KEY"],
    "alias_middleware.asgi": ["AliasMiddleware", "SCOPE_KEY"],
    "alias_middleware.flask": ["Alias", "current_visitor"],
    "alias_middleware.starlette": ["AliasBackend", "get_visitor"],
    "alias_middleware.contact": [
        "Facts",
        "Policy",
        "ShortCode",
        "ShortCodes",
        "Verdict",
        "next_allowed",
        "policy",
        "public_holidays",
        "sms_text",
        "verdict",
    ],
    "alias_middleware.identity": ["HeaderAlias", "Recognition", "Source", "Status", "WapNetworkInfo"],
}


@pytest.mark.parametrize(("module", "names"), PUBLIC.items(), ids=PUBLIC.keys())
def test_public_names_are_where_they_were(module: str, names: list[str]) -> None:
    """A name that users import does not move."""
    if module.endswith((".flask", ".starlette")):
        pytest.importorskip(module.rpartition(".")[2])
    there = import_module(module)
    assert [name for name in names if not hasattr(there, name)] == []


def test_the_root_exports_what_it_says() -> None:
    """`from alias_middleware import *` gives the public names and nothing else."""
    assert sorted(alias_middleware.__all__) == PUBLIC["alias_middleware"]


@pytest.fixture
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """What a reader has before he types a snippet: an app, and a visitor in hand."""
    flask = pytest.importorskip("flask")
    monkeypatch.chdir(tmp_path)
    tracker = Tracker(
        service="sonneries",
        storage=f"sqlite:///{tmp_path / 'visitor.db'}",
        trusted_gateways=["127.0.0.1"],
        raise_errors=True,
    )
    yield {
        "app": flask.Flask("snippet"),
        "application": lambda environ, start_response: [b""],
        "visitor": tracker.visitor("314522927347"),
    }
    tracker.close()


@pytest.mark.parametrize("snippet", SNIPPETS, ids=[textwrap.shorten(text, 40) for text in SNIPPETS])
def test_readme_snippets_run(snippet: str, surroundings: dict[str, Any]) -> None:
    """Every Python block of the README runs as it stands."""
    pytest.importorskip("fastapi")
    pytest.importorskip("flask_login")
    exec(compile(snippet, "README.md", "exec"), surroundings)


def test_readme_names_every_counter_and_status() -> None:
    """A counter that the code counts is explained in the README."""
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "alias_middleware").rglob("*.py"))
    counted = set(re.findall(r'counters\.add\(\s*"([a-z_]+)"', source))
    counted |= set(re.findall(r'dropped\["([a-z_]+)"\]', source))
    assert {name for name in counted if f"`{name}`" not in README} == set()


def test_only_service_and_gateways_must_be_said() -> None:
    """Every other setting has a default, in the one place for them."""
    required = [field.name for field in msgspec.structs.fields(Settings) if field.required]
    assert required == ["service", "trusted_gateways"]


@pytest.mark.parametrize("path", sorted((ROOT / "alias_middleware").rglob("*.py")), ids=lambda path: path.name)
def test_every_module_opens_with_its_purpose(path: Path) -> None:
    """A module says in its first line what lives there; no file outgrows a reader's patience."""
    text = path.read_text(encoding="utf-8")
    assert text.startswith('"""'), "no opening sentence"
    assert text.count("\n") <= 350
