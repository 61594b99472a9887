"""Other libraries are measured beside this one: each really counts the visits that it is measured with."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.compare import table
from benchmarks.compare.killed import kept
from benchmarks.compare.measuring import compare_figures
from benchmarks.compare.servers import event_counter, events_at, redis_server
from benchmarks.compare.site import Surroundings
from benchmarks.compare.ways import WAYS, Way
from benchmarks.figures import Figure
from benchmarks.rounds import Spread
from tests.support.real import require_program


@pytest.mark.parametrize("way", WAYS, ids=lambda way: f"{way.framework}: {way.name}")
def test_each_way_counts_visits(way: Way, tmp_path: Path) -> None:
    """Each page asked for is counted once for its visitor, or arrives at the server of events."""
    if way.redis:
        require_program("redis-server")
    with redis_server(tmp_path / "redis", appended=False) as redis, event_counter() as events:
        site = way.build(Surroundings(tmp_path, redis.port if redis else None, events))
        assert len(site.pages([1, 2, 1, 1])) == 4
        site.settle()
        counted = (events_at(events), 0) if way.remote else (site.seen(1), site.seen(2))
        site.close()
    assert counted == ((4, 0) if way.remote else (3, 1))


@pytest.mark.once
def test_the_comparison_measures_time_and_what_is_kept(tmp_path: Path) -> None:
    """What is answered outlives the site, save where the library keeps it in memory; the table says both."""
    names = ("Flask-Session, files", "starsessions, memory", "alias_middleware, the page recorded")
    ways = [way for way in WAYS if way.name in names or (way.remote and way.framework == "ASGI")]
    figures = list(compare_figures(tmp_path, ways=ways, rounds=1, requests=3, kills=1, answers=60))
    added, kept_ = figures[::2], figures[1::2]
    assert [figure.unit for figure in added] == ["us"] * len(ways)
    assert {figure.name.strip() for figure in kept_} == {table.KEPT}
    for way, share in zip(ways, kept_, strict=True):
        lasting = way.name != "starsessions, memory" and not way.remote
        assert share.measured.median == 100 if lasting else share.measured.median < 100, way.name
    assert table.table(figures).count("\n") == 2 + len(ways)


@pytest.mark.once
def test_a_killed_redis_keeps_what_is_in_its_file(tmp_path: Path) -> None:
    """With an append-only file everything answered is there again; with its snapshots only it is not."""
    require_program("redis-server")
    way = next(way for way in WAYS if way.redis)
    shares = []
    for appended in (True, False):
        folder = tmp_path / str(appended)
        with redis_server(folder, appended=appended) as redis:
            around = Surroundings(folder, redis.port if redis else None, 0)
            shares.append(kept(way, around, 40, redis=redis))
    assert shares == [100, 0]


def test_the_table_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    """The words around it stay; versions stand below it."""
    page = tmp_path / "comparison.md"
    page.write_text("# Words\n\n<!-- measured: begin -->\nold\n<!-- measured: end -->\n\n## More\n")
    figures = [
        Figure("Flask: a", "us", Spread(12, 10, 30)),
        Figure(f"  {table.KEPT}", "%", Spread(99.5, 90, 100)),
        Figure("Flask: b", "us", Spread(1_500, 1_400, 1_600)),
    ]
    table.write(figures, page)
    table.write(figures, page)
    text = page.read_text()
    assert text.startswith("# Words\n\n<!--")
    assert text.endswith("-->\n\n## More\n")
    assert "old" not in text
    rows = ["| Flask: a | 12 us | 10 - 30 | 99.5 % |  |  |", "| Flask: b | 1,500 us | 1,400 - 1,600 |  |  |  |"]
    assert "\n".join(rows) in text
    assert text.count("flask 3") == 1
