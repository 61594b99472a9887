"""What the project promises in public: its names, what must be said, and that every file keeps its place."""

from __future__ import annotations

import tomllib
from importlib import import_module
from pathlib import Path

import msgspec
import pytest

import alias_middleware
from alias_middleware.settings import Settings
from tests.support.public import PUBLIC

ROOT = Path(__file__).parent.parent


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


def test_readme_names_every_extra() -> None:
    """Whatever pip may install besides is named where a newcomer looks."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = set(project["optional-dependencies"]) - {"bench", "test"}
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert {name for name in extras if f"`{name}`" not in readme} == set()


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
