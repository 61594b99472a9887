"""What the command `visitor` shows of habits: interests with their evidence, and the visitor's own way in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from alias_middleware.cli.tables import Table
from alias_middleware.interests import Horizon
from alias_middleware.tracker import Tracker

_HORIZONS: tuple[Horizon, ...] = ("recent", "whole")


def habits_document(tracker: Tracker, alias: str) -> dict[str, Any]:
    """Give a visitor's interests in both horizons and his shortcuts as plain JSON values."""
    profile = tracker.visitor(alias).profile
    return {
        "interests": {
            horizon: [
                {**msgspec.to_builtins(each), "says": str(each.evidence)}
                for each in profile.interests(horizon=horizon)
            ]
            for horizon in _HORIZONS
        },
        "shortcuts": msgspec.to_builtins(profile.shortcuts()),
    }


def habit_tables(document: Mapping[str, Any]) -> list[Table]:
    """Lay out interests, each with its evidence, and shortcuts."""
    interests = [
        (horizon, each["category"], f"{each['score']:.2f}", f"{each['share']:.0%}", each["says"])
        for horizon, found in document["interests"].items()
        for each in found
    ]
    shortcuts = [(each["path"], each["title"] or "-", f"{each['weight']:.1f}") for each in document["shortcuts"]]
    columns = ("horizon", "category", "score", "share", "evidence")
    return [
        *([Table("Interests", columns, interests, numbers=frozenset({2, 3}))] if interests else []),
        *(
            [Table("Shortcuts", ("path", "title", "weight"), shortcuts, numbers=frozenset({2}))]
            if shortcuts
            else []
        ),
    ]
