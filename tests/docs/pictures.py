"""Pictures of what commands show on a terminal, drawn as SVG from their real output for a made-up month."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Sequence
from html import unescape
from pathlib import Path
from re import findall, sub

WIDTH = 118
_SITE = ["--service", "sonneries", "--storage", "sqlite:///alias.db"]
LIFE = ["simulate", "--subscribers", "300", "--days", "31", "--seed", "7", "--since", "2026-03-01", *_SITE]
COMMANDS = {
    "stats": ["stats", *_SITE, "--since", "2026-03-01", "--until", "2026-04-01"],
    "doctor": ["doctor", *_SITE, "--wait", "0.1"],
}
_FORMAT = """\
<svg viewBox="0 0 {terminal_width} {terminal_height}" xmlns="http://www.w3.org/2000/svg">
<style>
text {{ font-family: monospace; font-size: {char_height}px; line-height: {line_height}px; white-space: pre; }}
{styles}
</style>
<rect fill="#292929" width="{terminal_width}" height="{terminal_height}" rx="8" />
<g transform="translate(9, 9)">
{backgrounds}
<g>{matrix}</g>
</g>
</svg>
"""


def shown(arguments: Sequence[str], folder: Path) -> str:
    """Give what a command of ours writes on a terminal, colours included."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(WIDTH), "TERM": "xterm-256color"}
    command = [sys.executable, "-m", "alias_middleware", *arguments]
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=theirs, stderr=subprocess.DEVNULL):
        os.close(theirs)
        written = b"".join(iter(lambda: _read(ours), b""))
    os.close(ours)
    return written.decode().replace("\r\n", "\n")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # whoever wrote is gone
        return b""


def drawn(output: str, command: Sequence[str]) -> str:
    """Draw a command and its output."""
    from rich.console import Console
    from rich.text import Text

    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        console = Console(record=True, width=WIDTH, file=nowhere, force_terminal=True)
        console.print(f"$ alias-middleware {' '.join(command)}", markup=False, highlight=False)
        console.print(Text.from_ansi(output))
    return console.export_svg(code_format=_FORMAT, unique_id="terminal")


def words_of(picture: str) -> list[str]:
    """Give the words in a picture."""
    texts = findall(r"<text [^>]*>(.*?)</text>", picture)
    return unescape(" ".join(texts)).split()


def words(output: str) -> list[str]:
    """Give the words of a command's output, without its colours."""
    return sub(r"\x1b\[[0-9;]*m", "", output).split()
