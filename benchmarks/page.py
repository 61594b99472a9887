"""docs/benchmarks.md: the last results of each part under its own heading, with the versions they hold for."""

from __future__ import annotations

import os
import platform
import sqlite3
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.figures import Figure

_INTRODUCTION = """\
# Benchmarks

Measured by `make bench` and `make bench-base`; `ARGS=--write` puts the results here. Every ratio is one of two
measurements of the same run, contenders taking turns; median, least and most are those of the rounds.
"""
_HEADING = "## "
_PACKAGES = (
    "starlette",
    "flask",
    "uvicorn",
    "uvloop",
    "httptools",
    "granian",
    "gunicorn",
    "duckdb",
    "pyroaring",
    "msgspec",
)


def write(page: Path, measured: Mapping[str, Sequence[Figure]]) -> None:
    """Put results, by title, in the place of those before; other titles keep theirs."""
    sections = _sections(page.read_text()) if page.exists() else {}
    sections |= {title: _section(figures) for title, figures in measured.items()}
    bodies = [f"{_HEADING}{title}\n\n{body.strip()}\n" for title, body in sections.items()]
    page.write_text("\n".join([_INTRODUCTION, *bodies]))


def _sections(text: str) -> dict[str, str]:
    parts = text.split(f"\n{_HEADING}")[1:]
    return {title: body for title, _, body in (part.partition("\n") for part in parts)}


def _section(figures: Sequence[Figure]) -> str:
    rows = "\n".join(_row(figure) for figure in figures)
    head = "| figure | median | least - most | target | |\n| --- | ---: | ---: | ---: | --- |"
    return f"{versions()}\n\n{head}\n{rows}"


def _row(figure: Figure) -> str:
    measured, unit = figure.measured, figure.unit and f" {figure.unit}"
    name = figure.name.strip() if figure.target is not None else f"_{figure.name.strip()}_"
    return (
        f"| {name} | {measured.median:,.2f}{unit} | {measured.least:,.2f} - {measured.most:,.2f} "
        f"| {figure.aim} | {figure.verdict} |"
    )


def versions(packages: Sequence[str] = _PACKAGES) -> str:
    """Tell what was measured on what: versions and processors, nothing of the machine's own names."""
    found = [f"{platform.python_implementation()} {platform.python_version()}", f"SQLite {sqlite3.sqlite_version}"]
    for package in packages:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return f"{', '.join(found)}; {platform.system()} on {os.cpu_count()} processors."
