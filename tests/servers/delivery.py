"""What servers deliver of odd headers, as measured, and as the documentation has it in a table.

With ALIAS_WRITE_DOCS=1 the table is written anew.
"""

from __future__ import annotations

import json
import os
from typing import NamedTuple

from tests.servers.catalogue import PARSERS
from tests.servers.launch import ROOT, Served, Server

PAGE = ROOT / "docs/servers.md"
NO_NEED, NEEDED, NEEDS_MORE = "no", "yes", "yes, but it is not enough"
_TWIN = "`9`"
_OWN_NAMES = ("HTTP_X_PROBE", "x-probe")
_BEGIN, _END = "<!-- table: begin -->", "<!-- table: end -->"
_HEADINGS = (
    "server",
    "two lines `1`, `2`",
    "only the twin `9`",
    "dash `1`, twin `9`",
    "twin `9`, dash `1`",
    "a line after a bare LF",
    "`X-Forwarded-For` from 127.0.0.1",
    "Unix socket",
    "needs `gateway_secret`",
)


class Delivery(NamedTuple):
    """A row of the table."""

    server: str
    repeated: str
    twin: str
    dash_and_twin: str
    twin_and_dash: str
    bare_lf: str
    forwarded: str
    unix: str
    remedy: str

    @classmethod
    def of(cls, server: Server, served: Served) -> Delivery:
        """Measure, with a header that means nothing."""
        dash, twin = "x-probe: 1", "x_probe: 9"
        both = [delivered(served, dash, twin), delivered(served, twin, dash)]
        alone = delivered(served, twin)
        remedy = NO_NEED if alone != _TWIN else NEEDS_MORE if _TWIN in both else NEEDED
        return cls(
            server=server.name,
            repeated=delivered(served, dash, "x-probe: 2"),
            twin=alone,
            dash_and_twin=both[0],
            twin_and_dash=both[1],
            bare_lf=delivered(served, "x-other: a\nx-probe: 1"),
            forwarded="",
            unix=f'`"{server.unix_peer}"`',
            remedy=remedy,
        )


def delivered(served: Served, *lines: str) -> str:
    """Give what the app gets of some lines."""
    reply = served.ask("GET", "/probe", *lines)
    if reply.status != 200:
        return "refused"
    probes: list[tuple[str, str]] = json.loads(reply.body)
    if not probes:
        return "dropped"
    return " and ".join(f"`{value}`{'' if name in _OWN_NAMES else ' by another name'}" for name, value in probes)


def _page() -> str:
    """Give the documentation's page."""
    return PAGE.read_text(encoding="utf-8")


def documented(server: Server) -> Delivery:
    """Give a server's row as the documentation has it."""
    return _rows()[server.name]


def _rows() -> dict[str, Delivery]:
    table = _page().partition(_BEGIN)[2].partition(_END)[0]
    cells = [[cell.strip() for cell in line.strip("| ").split("|")] for line in table.strip().splitlines()[2:]]
    return {row[0]: Delivery(*row) for row in cells}


def put_down(found: Delivery) -> None:
    """Write a row, where the environment asks for it."""
    if os.environ.get("ALIAS_WRITE_DOCS") != "1":
        return
    rows = {**_rows(), found.server: found}
    ordered = [rows[server.name] for server in PARSERS if server.name in rows]
    lines = [_HEADINGS, ["---"] * len(_HEADINGS), *ordered]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    before, _, rest = _page().partition(_BEGIN)
    after = rest.partition(_END)[2]
    PAGE.write_text(f"{before}{_BEGIN}\n{table}\n{_END}{after}", encoding="utf-8")
