"""Random requests: never an error of ours, never an alias where it must not be. `make fuzz` runs many more."""

from __future__ import annotations

from contextvars import Context
from pathlib import Path
from typing import Any

from tests.fuzz.engine import Engine


def test_random_requests_find_nothing(tmp_path: Path) -> None:
    """Hostile headers, methods, paths and scopes; apps that stream, raise, hang up, break the protocol."""
    engine = Engine(tmp_path, seed=20260302)
    Context().run(engine.run, range(5_000))  # no answer that another test left open is in its context
    engine.close()
    assert engine.failures == []
    assert min(engine.outcomes.values()) > 20


def test_a_storage_that_fails_as_often_as_not(tmp_path: Path) -> None:
    """The site goes on, everything adds up, and whom the storage was asked for stands in no log."""
    engine = Engine(tmp_path, seed=20260303, moody=True)
    Context().run(engine.run, range(2_000))
    (site,) = engine.sites
    with site.recovered():
        counters: Any = site.tracker.counters()
        engine.close()
    assert engine.failures == []
    assert counters["errors"] > 100
    assert counters["storage_failures"] > 100
    assert counters["preferences_deferred"] > 100
