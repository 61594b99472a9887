"""The site that the benchmarks measure: its name, and its tracker on a SQLite database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alias_middleware import Tracker

SERVICE = "sonneries"
_GATEWAYS = ["10.12.0.0/16"]


def tracker_on(database: Path, **settings: Any) -> Tracker:
    """Give the site's tracker on a database; settings beyond these are the measurement's own."""
    return Tracker(
        **{"service": SERVICE, "storage": f"sqlite:///{database}", "trusted_gateways": _GATEWAYS} | settings
    )


def job_on(database: Path, **settings: Any) -> Tracker:
    """Give the tracker of a cron job, which records nothing and hears of every error."""
    return tracker_on(database, writer="external", raise_errors=True, **settings)
