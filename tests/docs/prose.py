"""Docstrings, signatures and tables as Markdown."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

_SECTION = re.compile(r"(Args|Attributes|Raises|Returns):")
_ENTRY = re.compile(r"(?P<name>[\w, ]+):\s+(?P<text>.*)", re.DOTALL)


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Give a table; what divides cells is escaped in them."""
    cells = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return "".join(f"| {' | '.join(row)} |\n" for row in [headings, ["---"] * len(headings), *cells])


def docstring(thing: Any) -> str:
    """Give a docstring as Markdown; its sections become lists.

    Raises:
        ValueError: there is none, or none that says more than the language does.
    """
    text = inspect.getdoc(thing)
    if not text or text.startswith(("Initialize self", "alias for field")):
        raise ValueError(f"{thing!r} is undocumented")
    return "\n\n".join(map(_paragraph, re.split(r"\n\s*\n", text.replace("``", "`"))))


def _paragraph(text: str) -> str:
    head, _, rest = text.partition("\n")
    if not _SECTION.fullmatch(head):
        return " ".join(text.split())
    return f"{head}\n\n" + "\n".join(f"- `{name}`: {said}" for name, said in entries(rest).items())


def entries(section: str) -> dict[str, str]:
    """Give the entries of a docstring's section: what stands before the colon, and what is said of it."""
    found = {}
    for entry in re.split(r"\n(?=\S)", textwrap.dedent(section).strip()):
        match = _ENTRY.fullmatch(entry)
        if match is None:
            raise ValueError(f"no entry of a section: {entry!r}")
        if match["name"] in found:
            raise ValueError(f"{match['name']} is explained twice")
        found[match["name"]] = " ".join(match["text"].split())
    return found


def attributes(thing: Any) -> dict[str, str]:
    """Give what a class's docstring says of its attributes."""
    _, _, section = (inspect.getdoc(thing) or "").partition("Attributes:\n")
    return entries(section) if section else {}


def said_of_attributes(thing: type) -> dict[str, str]:
    """Give the public attributes of a class that a text follows, in its body and its constructor."""
    (made,) = ast.parse(textwrap.dedent(inspect.getsource(thing))).body
    body = made.body if isinstance(made, ast.ClassDef) else []
    bodies = [body, *(each.body for each in body if isinstance(each, ast.FunctionDef) and each.name == "__init__")]
    return {
        _attribute(statement): " ".join(text.value.value.split())
        for statements in bodies
        for statement, text in pairwise(statements)
        if _attribute(statement) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
        if isinstance(text.value.value, str)
    }


def _attribute(statement: ast.stmt) -> str:
    """Give the public attribute that a statement sets, "" where it does something else."""
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    name = getattr(targets[0], "attr", None) or getattr(targets[0], "id", None) or ""
    return "" if name.startswith("_") else name


def signature(thing: Any) -> str:
    """Give a call's parameters with their defaults, without types."""
    parameters = inspect.signature(thing).parameters.values()
    words: list[str] = []
    for each in parameters:
        if each.name in {"self", "cls"}:
            continue
        if each.kind is each.KEYWORD_ONLY and "*" not in words and not any(word.startswith("*") for word in words):
            words.append("*")
        words.append(_parameter(each))
    return f"({', '.join(words)})"


def _parameter(parameter: inspect.Parameter) -> str:
    stars = "*" if parameter.kind is parameter.VAR_POSITIONAL else ""
    stars = "**" if parameter.kind is parameter.VAR_KEYWORD else stars
    default = "" if parameter.default is parameter.empty else f"={_default(parameter.default)}"
    return f"{stars}{parameter.name}{default}"


def _default(value: object) -> str:
    text = repr(value)
    return "..." if text.startswith("<") or len(text) > 40 else text
