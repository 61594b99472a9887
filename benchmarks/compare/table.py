"""The comparison as one table of the documentation, between two marks of its page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.figures import Figure
from benchmarks.page import versions

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "comparison.md"
KEPT = "kept of what was answered, the site killed"
APPENDED = "kept with Redis killed as well, which has an append-only file"
SNAPSHOTS = "kept with Redis killed as well, which has its snapshots only"
PACKAGES = ("flask", "flask-session", "cachelib", "starlette", "starsessions", "redis", "posthog")

_BEGIN, _END = "<!-- measured: begin -->\n", "<!-- measured: end -->\n"
_HEAD = """\
| library | added to a request | least - most | kept, site killed | Redis killed too | the same, snapshots |
| --- | ---: | ---: | ---: | ---: | ---: |
"""


def write(figures: Sequence[Figure], page: Path = PAGE) -> None:
    """Put the table in the place of the one before."""
    before, _, rest = page.read_text().partition(_BEGIN)
    after = rest.partition(_END)[2]
    page.write_text(f"{before}{_BEGIN}\n{table(figures)}\n{versions(PACKAGES)}\n\n{_END}{after}")


def table(figures: Sequence[Figure]) -> str:
    """One row for each library, which a figure of added time begins."""
    rows: list[tuple[Figure, dict[str, Figure]]] = []
    for figure in figures:
        if figure.name.startswith(" "):
            rows[-1][1][figure.name.strip()] = figure
        else:
            rows.append((figure, {}))
    return _HEAD + "".join(_row(added, kept) for added, kept in rows)


def _row(added: Figure, kept: dict[str, Figure]) -> str:
    spread = added.measured
    shares = " | ".join(_share(kept.get(name)) for name in (KEPT, APPENDED, SNAPSHOTS))
    extent = f"{spread.least:,.0f} - {spread.most:,.0f}"
    return f"| {added.name} | {spread.median:,.0f} us | {extent} | {shares} |\n"


def _share(figure: Figure | None) -> str:
    return "" if figure is None else f"{figure.measured.median:.1f} %"
