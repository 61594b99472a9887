"""The page of the documentation that tells of the last soak."""

from __future__ import annotations

import platform
import sqlite3
from importlib.metadata import version

from tests.soak.course import MOST_MB_AN_HOUR, Result
from tests.soak.readings import Growth

_PACKAGES = ("alias-middleware", "uvicorn", "uvloop", "gunicorn")

_PAGE = """# The last soak

Written by `make soak`: {minutes:g} minutes of mixed load on real servers, uvicorn and gunicorn with two workers
each, on one SQLite database. {visitors} visitors browse, buy, change a preference, read slowly and hang up;
meanwhile workers are killed (`kill -9`) and reloaded (`SIGHUP`). A figure out of bounds makes the command fail.

{verdict}

| | |
| --- | --- |
| requests asked, a second | {account.requests:,}, {rate:.0f} |
| not answered: hung up, or their worker was killed | {account.unanswered:,} |
| workers killed, reloads, processes in all | {result.kills}, {result.reloads}, {result.processes} |
| page views, orders, changes of a preference stored | {account.pages:,}, {account.orders:,}, {account.clicks:,} |
| answered and not stored | {account.lost} |
| stored twice, or never asked for | {account.extra} |
| `seen` | {counters[seen]:,} |
| `stored` + `deduplicated` + `spooled` + `dropped` | {accounted} |

The worker that lived longest, of each server, from when it was warm to when it was replaced:

| server | observed | memory | grown by | slope, at most {most:g} MB an hour | files | threads |
| --- | --- | --- | --- | --- | --- | --- |
{growth}

Measured with {versions};
{cores} cores, which other programs used too.
"""


def write(result: Result, *, visitors: int, cores: int) -> str:
    """Lay a result out as Markdown."""
    counters = result.counters
    parts = [counters["stored"], counters["deduplicated"], counters["spooled"], sum(counters["dropped"].values())]
    complaints = result.complaints()
    return _PAGE.format(
        minutes=round(result.seconds / 60, 1),
        visitors=visitors,
        verdict=f"**Out of bounds:** {'; '.join(complaints)}" if complaints else "**All is within bounds.**",
        account=result.account,
        rate=result.account.requests / result.seconds,
        result=result,
        counters=counters,
        accounted=f"{parts[0]:,} + {parts[1]} + {parts[2]} + {parts[3]}",
        most=MOST_MB_AN_HOUR,
        growth="\n".join(_growth_rows(result)),
        versions=_versions(),
        cores=cores,
    )


def _growth_rows(result: Result) -> list[str]:
    return [_row(server, growth) for server, growth in result.growth.items()]


def _row(server: str, growth: Growth) -> str:
    cells = [
        server,
        f"{growth.seconds:.0f} s",
        f"{growth.rss_kb / 1024:.1f} MB",
        f"{growth.grown_kb / 1024:+.2f} MB",
        f"{growth.slope_kb / 1024:+.1f} MB",
        f"{growth.files} ({growth.more_files:+})",
        f"{growth.threads} ({growth.more_threads:+})",
    ]
    return f"| {' | '.join(cells)} |"


def _versions() -> str:
    packages = [f"{name} {version(name)}" for name in _PACKAGES]
    return ", ".join([f"Python {platform.python_version()}", f"SQLite {sqlite3.sqlite_version}", *packages])
