"""The command `visitor` on habits, and the command `simulate`."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import ALIAS, Run


def test_visitor_shows_interests_with_their_evidence(database: str, run: Run) -> None:
    """In both horizons; everybody's favourites say that they are, and the pages he goes to stand below."""
    assert "cart" not in run("visitor", ALIAS, "--service", "ringtones").stdout
    shown = json.loads(run("visitor", ALIAS, "--service", "ringtones", "--json").stdout)
    assert shown["interests"] == {"recent": [], "whole": []}
    assert [each["path"] for each in shown["shortcuts"]] == ["/welcome"]
    run("simulate", "--service", "ringtones", "--subscribers", "30", "--days", "10")
    table = run("visitor", ALIAS, "--service", "ringtones").stdout
    assert "a favourite of everybody's" in table
    assert "/welcome" in table


def test_simulate_says_where_to(run: Run, tmp_path: Path) -> None:
    """Nothing is written to a default place; a log and a table of orders are files."""
    assert run("simulate").exit_code == 2
    arguments = ["simulate", "--subscribers", "300", "--days", "5", "--visits", "0.2"]
    log, orders = tmp_path / "access.log.gz", tmp_path / "orders.csv"
    result = run(*arguments, "--log", str(log), "--purchases", str(orders))
    assert result.exit_code == 0
    assert log.read_bytes()[:2] == b"\x1f\x8b"
    assert orders.read_text().startswith("alias,order_id,time,currency,amount,category")
