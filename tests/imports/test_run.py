"""Importing files: once, from where it stopped, in any packing, whatever stands in them."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import zstandard
from click.testing import CliRunner, Result

from alias_middleware import Tracker
from alias_middleware.cli.commands import standalone
from alias_middleware.imports import run
from alias_middleware.imports.lines import Lines, fingerprint, opened
from alias_middleware.imports.ordinals import GENERATION, Ordinals, remembered_from
from alias_middleware.statistics import Totals
from alias_middleware.storage.sqlite import SQLiteStorage
from alias_middleware.testing._contract_case import counted as totals_of_days
from alias_middleware.testing.histories import instant
from alias_middleware.testing.simulated_log import FIRST_DAY, log_lines, order_rows
from alias_middleware.testing.simulation import Life

SPAN = (date(2026, 1, 1), date(2026, 4, 1))
LINE = '{peer} - - [02/Mar/2026:{time} +0100] "{method} {path} HTTP/1.1" {status} 1 "-" "{agent}" "{alias}"\n'
USUAL: dict[str, Any] = {
    "peer": "10.12.0.1", "time": "12:00:00", "method": "GET", "path": "/sport/1", "status": 200,
    "agent": "Phone/1", "alias": "mUserAlias:314522927347",
}  # fmt: skip


def line(**changed: Any) -> str:
    return LINE.format(**{**USUAL, **changed})


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[SQLiteStorage]:
    opened_storage = SQLiteStorage(f"sqlite:///{tmp_path}/alias.db")
    yield opened_storage
    opened_storage.close()


@pytest.fixture
def life() -> Life:
    return Life(subscribers=150, days=25, seed=5, first_day=FIRST_DAY)


def command(tmp_path: Path, *arguments: str) -> list[str]:
    return ["import", *arguments, "--storage", f"sqlite:///{tmp_path}/alias.db", "--service", "simulated"]


def imported(tmp_path: Path, path: Path, *more: str, what: str = "log") -> Result:
    gateway = ["--trusted-gateway", "10.12.0.0/16", "--category", "/sport/*=sport"] if what == "log" else []
    arguments = command(tmp_path, what, str(path), *gateway, *more)
    return CliRunner().invoke(standalone(), arguments, catch_exceptions=False)


def figures(storage: SQLiteStorage) -> Totals:
    return totals_of_days(storage, "simulated", SPAN[0].toordinal(), SPAN[1].toordinal())


def counted(storage: SQLiteStorage) -> tuple[int, int]:
    totals = figures(storage)
    return totals.page_views, totals.visitors


def told(result: Result) -> dict[str, int]:
    """The table's rows by their name."""
    assert result.exit_code == 0, result.output
    rows = [text.split() for text in result.stdout.splitlines()[2:]]
    return {" ".join(cells[1:-1]): int(cells[-1]) for cells in rows}


@pytest.mark.parametrize("packing", ["plain", "gz", "zst"])
def test_a_log_becomes_history(tmp_path: Path, storage: SQLiteStorage, life: Life, packing: str) -> None:
    """Every page view once; the same content again, packed or not, changes nothing."""
    text = "".join(log_lines(life)).encode()
    path = tmp_path / "access.log"
    pack: Any = {"plain": bytes, "gz": gzip.compress, "zst": zstandard.ZstdCompressor().compress}[packing]
    path.write_bytes(pack(text))
    views = text.count(b"\n")
    assert told(imported(tmp_path, path))["stored"] == views
    visitors = len({each.split(b'"')[-2] for each in text.splitlines()})
    assert counted(storage) == (views, visitors)
    (tmp_path / "again.log").write_bytes(text)
    again = told(imported(tmp_path, tmp_path / "again.log"))
    assert (again["read"], again["taken over before"], again["stored"]) == (0, views, 0)
    assert counted(storage) == (views, visitors)
    assert storage.category_sums("simulated").keys() == {"sport"}


def test_lines_are_known_by_their_ids(tmp_path: Path, storage: SQLiteStorage, life: Life) -> None:
    """Where the storage forgot how far the file had come, or the log was cut otherwise, nothing counts twice."""
    lines = list(log_lines(life))
    path = tmp_path / "access.log"
    path.write_text("".join(lines))
    imported(tmp_path, path)
    before = counted(storage)
    path.write_text("".join([*lines[10:], *lines[:10]]))
    assert told(imported(tmp_path, path))["known already"] == len(lines)
    assert counted(storage) == before


def test_equal_lines_are_different_views(tmp_path: Path, storage: SQLiteStorage) -> None:
    """Two requests of one second may write the same line; each counts, and again they are known."""
    path = tmp_path / "access.log"
    path.write_text(line() * 3 + line(time="12:00:01") + line() * 2)
    assert told(imported(tmp_path, path))["stored"] == 6
    path.write_text(line() * 3 + line(time="12:00:01") + line() * 2 + line(time="12:00:02"))
    again = told(imported(tmp_path, path))
    assert (again["stored"], again["known already"]) == (1, 6)
    assert counted(storage) == (7, 1)


def test_what_is_left_out(tmp_path: Path, storage: SQLiteStorage) -> None:
    """Bots, pictures, errors, posts, strangers, forgers and nonsense, each counted; nonsense is kept apart."""
    path = tmp_path / "access.log"
    lines = [
        line(),
        line(agent="Mozilla/5.0 (compatible; Googlebot/2.1)"),
        line(path="/logo.gif"),
        line(status=404),
        line(status=304),
        line(method="POST"),
        line(alias="-"),
        line(alias="mUserAlias:1"),
        line(alias="mUserAlias:314522927347,mUserAlias:314522927348"),
        line(peer="203.0.113.9"),
        line(path="/health"),
        "nonsense\n",
        '10.12.0.1 - - "\n',
        "\n",
    ]
    path.write_text("".join(lines))
    found = told(imported(tmp_path, path, "--exclude", "/health"))
    assert {name.removeprefix("left out: "): n for name, n in found.items() if name.startswith("left")} == {
        "bot": 1, "no page": 1, "status": 2, "not GET": 1, "no alias": 4, "excluded": 1, "unreadable": 2,
        "empty": 1,
    }  # fmt: skip
    assert (found["read"], found["stored"]) == (14, 1)
    assert (tmp_path / "access.log.rejected").read_text() == 'nonsense\n10.12.0.1 - - "\n'
    assert (tmp_path / "access.log.rejected").stat().st_mode & 0o777 == 0o600


def test_an_endless_line_is_one_bad_line(tmp_path: Path, storage: SQLiteStorage) -> None:
    """However long, and whatever is hidden in it: memory stays, and no part of it is taken for a line."""
    path = tmp_path / "access.log"
    filler = "x" * (64 * 1024)
    path.write_text(filler + line().strip() + filler * 3 + "\n" + line())
    found = told(imported(tmp_path, path))
    assert (found["read"], found["stored"], found["left out: unreadable"]) == (2, 1, 1)


def test_lines_from_the_live_time_are_refused(tmp_path: Path, storage: SQLiteStorage) -> None:
    """From the service's first page view recorded live on they would count twice; imports move no limit."""
    path = tmp_path / "access.log"
    path.write_text(line(time="11:00:00"))
    assert told(imported(tmp_path, path))["stored"] == 1
    with Tracker(service="simulated", storage=storage, trusted_gateways=[]).visitor("314522927347") as visitor:
        visitor.begun_us = instant("2026-03-02T12:00:00")
        visitor.show("/live")
    tracker = Tracker(service="simulated", storage=storage, trusted_gateways=[])
    assert tracker.flush()
    tracker.close()
    path.write_text(line(time="11:59:59") + line(time="12:00:00") + line(time="13:00:00"))
    found = told(imported(tmp_path, path))
    assert (found["stored"], found["left out: live"]) == (1, 2)


KILLED = """
import os, sys
from pathlib import Path
from alias_middleware.cli.commands import standalone
from alias_middleware.imports import run
from alias_middleware.storage.sqlite import SQLiteStorage
run.BATCH_LINES = 50
applied, when, apply = 0, sys.argv.pop(1), SQLiteStorage.apply
def kill_at_fourth(self, batch):
    global applied
    applied += 1
    if applied == 4 and when == "before":
        os.kill(os.getpid(), 9)
    outcome = apply(self, batch)
    if applied == 4:
        os.kill(os.getpid(), 9)
    return outcome
SQLiteStorage.apply = kill_at_fourth
standalone().main(prog_name="alias-middleware")
"""


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_and_begun_again(
    tmp_path: Path, storage: SQLiteStorage, life: Life, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes on from the last batch: no line is lost, doubled, or rejected twice."""
    lines = list(log_lines(life))
    text = "".join(each + ("nonsense\n" if number % 20 == 0 else "") for number, each in enumerate(lines))
    path = tmp_path / "access.log"
    path.write_bytes(gzip.compress(text.encode()))
    arguments = command(tmp_path, "log", str(path), "--trusted-gateway", "10.12.0.0/16")
    process = subprocess.run([sys.executable, "-c", KILLED, when, *arguments], check=False, env=os.environ)
    assert process.returncode == -signal.SIGKILL
    assert 0 < counted(storage)[0] < len(lines)
    monkeypatch.setattr(run, "BATCH_LINES", 50)
    found = told(imported(tmp_path, path))
    assert found["taken over before"] == (150 if when == "before" else 200)
    assert found["known already"] == 0
    assert counted(storage)[0] == len(lines)
    rejected = (tmp_path / "access.log.rejected").read_text()
    assert rejected == "nonsense\n" * text.count("nonsense")
    counts = storage.ledger().counts
    assert counts["seen"] == counts["stored"] == len(lines)


@pytest.mark.parametrize("packing", ["plain", "zst"])
def test_a_file_that_grows(tmp_path: Path, storage: SQLiteStorage, packing: str) -> None:
    """A line that is still being written is left for the next time; a zstd file cut off is such a one."""
    text = "".join(log_lines(Life(subscribers=500, days=25, seed=5, first_day=FIRST_DAY))).encode()
    path = tmp_path / "access.log"
    cut: Any = zstandard.ZstdCompressor().compress(text)[:-200] if packing == "zst" else text[:-50]
    path.write_bytes(cut)
    first = told(imported(tmp_path, path))
    if packing == "plain":
        assert (first["left out: unfinished"], first["stored"]) == (1, text.count(b"\n") - 1)
    path.write_bytes(text)
    second = told(imported(tmp_path, path))
    assert (second["taken over before"], second["known already"]) == (first["read"], 0)
    assert counted(storage)[0] == text.count(b"\n")
    assert not (tmp_path / "access.log.rejected").exists()


def test_a_cut_archive_is_an_error(tmp_path: Path, storage: SQLiteStorage, life: Life) -> None:
    """It is said, in one line."""
    path = tmp_path / "access.log.gz"
    path.write_bytes(gzip.compress("".join(log_lines(life)).encode())[:-200])
    result = imported(tmp_path, path)
    assert result.exit_code == 1
    assert "damaged" in result.stderr


def test_orders(tmp_path: Path, storage: SQLiteStorage, life: Life) -> None:
    """A publisher's own books: each order once, however often the file comes; bad rows are kept apart."""
    rows = list(order_rows(life))
    path = tmp_path / "orders.csv"
    text = "\n".join(",".join(row) for row in rows)
    path.write_text(text + "\n000000000001,,2026-01-01T12:00:00+01:00,EUR,1,\nnonsense\n1,A,B,C,D,E\n")
    found = told(imported(tmp_path, path, what="purchases"))
    assert (found["stored"], found["left out: unreadable"]) == (len(rows) - 1, 3)
    assert told(imported(tmp_path, path, what="purchases"))["read"] == 0
    path.write_text(text + "\n\n")
    assert told(imported(tmp_path, path, what="purchases"))["known already"] == len(rows) - 1
    baskets = figures(storage).baskets["EUR"]
    assert sum(group.clients * orders for orders, group in baskets.items()) == len(rows) - 1


def test_profiles(tmp_path: Path, storage: SQLiteStorage) -> None:
    """Preferences by column, personal data apart; what the visitor changed since stays, today and tomorrow."""
    path = tmp_path / "profiles.csv"
    path.write_text("alias,font,personal.name\n314522927347,large,Zoé\n000000000001,,Ada\n12,large,X\n")
    os.utime(path, (1_700_000_000, 1_700_000_000))
    found = told(imported(tmp_path, path, what="profiles"))
    assert (found["profiles"], found["left out: unreadable"]) == (2, 1)
    tracker = Tracker(service="simulated", storage=storage, trusted_gateways=[])
    with tracker.visitor("314522927347") as visitor:
        assert (visitor.profile["font"], visitor.profile.personal["name"]) == ("large", "Zoé")
        visitor.profile["font"] = "small"
    path.write_text("alias,font,personal.name\n314522927347,large,Zoé\n000000000001,,Ada\n")
    os.utime(path, (1_700_000_000, 1_700_000_000))
    imported(tmp_path, path, what="profiles")
    assert tracker.visitor("314522927347").profile["font"] == "small"
    tracker.close()


def test_a_table_that_names_no_columns(tmp_path: Path, storage: SQLiteStorage) -> None:
    """The error says which are needed."""
    path = tmp_path / "orders.csv"
    path.write_text("a,b\n1,2\n")
    result = imported(tmp_path, path, what="purchases")
    assert result.exit_code == 2
    assert "alias, order_id" in result.stderr


def test_whose_header_is_believed_must_be_said(tmp_path: Path, storage: SQLiteStorage) -> None:
    """There is no default."""
    path = tmp_path / "access.log"
    path.write_text(line())
    result = CliRunner().invoke(standalone(), command(tmp_path, "log", str(path)))
    assert result.exit_code == 2
    assert "--trusted-gateway" in result.stderr


def test_options_hold_beside_a_sites_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose header the log is believed from need not be whom the site trusts today."""
    made = f"Tracker(service='simulated', storage='sqlite:///{tmp_path}/alias.db', trusted_gateways=['127.0.0.1'])"
    (tmp_path / "a_site_with_logs.py").write_text(f"from alias_middleware import Tracker\ntracker = {made}\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "a_site_with_logs", raising=False)
    path = tmp_path / "access.log"
    path.write_text(line(path="/sport/1"))
    app = ["import", "log", str(path), "--app=a_site_with_logs:tracker", "--json"]
    said = ["--trusted-gateway", "10.12.0.0/16", "--category", "/sport/*=sport"]
    result = CliRunner().invoke(standalone(), [*app, *said], catch_exceptions=False)
    (report,) = json.loads(result.stdout)
    assert (report["file"], report["read"], report["stored"], report["left_out"]) == ("access.log", 1, 1, {})
    tracker = sys.modules["a_site_with_logs"].tracker
    assert [row.category for row in tracker.statistics.categories(*SPAN).rows] == ["sport"]
    path.write_text(line(path="/sport/2"))
    result = CliRunner().invoke(standalone(), app, catch_exceptions=False)
    assert json.loads(result.stdout)[0]["left_out"] == {"no alias": 1}
    refused = CliRunner().invoke(standalone(), [*app, "--category", f"/x={'y' * 99}"])
    assert (refused.exit_code, "categories" in refused.stderr) == (2, True)
    tracker.close()


def test_ordinals_forget_in_generations() -> None:
    """Memory is flat; whoever resumes reads again from where it matters, and gives the same ids."""
    ordinals = Ordinals()
    ids = [ordinals.id_of(number, b"line %d" % (number // 2)) for number in range(3 * GENERATION)]
    assert len(set(ids)) == 3 * GENERATION
    assert len(ordinals._young) + len(ordinals._old) <= 2 * GENERATION
    begun = int(2.5 * GENERATION) + 1
    resumed = Ordinals()
    again = [
        resumed.id_of(number, b"line %d" % (number // 2))
        for number in range(remembered_from(begun), 3 * GENERATION)
    ]
    assert again[begun - remembered_from(begun) :] == ids[begun:]


def test_a_fingerprint_is_of_the_content(tmp_path: Path) -> None:
    """Packed or grown, a long file is the same."""
    text = b"".join(b"line %d\n" % number for number in range(20_000))
    for name, content in (("a", text), ("b", gzip.compress(text)), ("c", text + b"more\n"), ("d", text[1:])):
        (tmp_path / name).write_bytes(content)
    first, *others = (fingerprint(tmp_path / name) for name in "abcd")
    assert [other == first for other in others] == [True, True, False]
    with opened(tmp_path / "b") as lines:
        assert isinstance(lines, Lines)
        assert sum(1 for _ in lines) == 20_000
        assert lines.read_bytes > 0


def test_the_rejected_lines_never_go_into_the_file_itself(tmp_path: Path) -> None:
    """It would be cut off and then read its own rejected lines, again and again."""
    path = tmp_path / "access.log"
    path.write_text("nonsense\n" * 9)
    (tmp_path / "link").symlink_to(path)
    for named in (path, tmp_path / "link"):
        result = imported(tmp_path, path, "--rejected", str(named))
        assert result.exit_code != 0
        assert "--rejected" in result.output
    assert path.read_text() == "nonsense\n" * 9
