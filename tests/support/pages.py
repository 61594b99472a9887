"""The pages of the documentation: their code blocks, each with the mark that stands before it.

A mark is an HTML comment on the line before a block, which no reader sees: `<!-- file: shop.py -->`.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
_BLOCK = re.compile(
    r"(?:^<!-- (?P<mark>[^\n]*?) -->\n\n?)?^```(?P<language>[a-z]*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)
_JOINTS = {"|", "||", "&&", ">"}


class Block(NamedTuple):
    """A block of code. `kind` and `about` are the two halves of its mark, empty where it has none."""

    page: Path
    line: int
    language: str
    kind: str
    about: str
    text: str

    @property
    def place(self) -> str:
        """Where the block stands, for messages."""
        return f"{name_of(self.page)}:{self.line}"


def pages() -> list[Path]:
    """Give every page, the README first."""
    return [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]


def name_of(page: Path) -> str:
    """Give a page's path in the project."""
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> list[Block]:
    """Give a page's blocks of code in their order."""
    text = page.read_text(encoding="utf-8")
    return [_block(page, text, match) for match in _BLOCK.finditer(text)]


def _block(page: Path, text: str, match: re.Match[str]) -> Block:
    kind, _, about = (match["mark"] or "").partition(":")
    line = text.count("\n", 0, match.start("text")) + 1
    return Block(page, line, match["language"], kind.strip(), about.strip(), match["text"])


def prose(page: Path) -> str:
    """Give a page without its blocks of code."""
    return _BLOCK.sub("", page.read_text(encoding="utf-8"))


def commands(block: Block) -> list[list[str]]:
    """Give the commands of a shell block as lists of words.

    Comments are left out and continued lines joined; a line ends where the shell begins another command.
    """
    lines = block.text.replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := _words(line))]


def _words(line: str) -> list[str]:
    words = shlex.split(line, comments=True)
    return words[: next((place for place, word in enumerate(words) if word in _JOINTS), len(words))]
