"""What a check found: how bad it is, what was measured, what to do about it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import msgspec


class Level(StrEnum):
    """How bad a finding is. `fail`: visitors can be impersonated, or events are or will be lost."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Finding(msgspec.Struct, frozen=True):
    """One line of the report; `remedy` is empty where there is nothing to do."""

    level: Level
    check: str
    measured: str
    remedy: str = ""


class Shot(msgspec.Struct, frozen=True):
    """What became of one forgery. `status`: of the answer, 0 where there was none. `named`: it got through."""

    forgery: str
    status: int
    named: bool


class Report(msgspec.Struct, frozen=True):
    """All findings, and the forgeries one by one."""

    findings: list[Finding]
    forgeries: list[Shot]

    @property
    def level(self) -> Level:
        """The worst level among the findings."""
        return worst(finding.level for finding in self.findings)


def worst(levels: Iterable[Level]) -> Level:
    """Give the worst of some levels; ok when there is none."""
    return max(levels, key=list(Level).index, default=Level.OK)


def ok(check: str, measured: str) -> Finding:
    """Make a finding that all is well."""
    return Finding(Level.OK, check, measured)


def warn(check: str, measured: str, remedy: str) -> Finding:
    """Make a finding that somebody should look at."""
    return Finding(Level.WARN, check, measured, remedy)


def fail(check: str, measured: str, remedy: str) -> Finding:
    """Make a finding that must not stay."""
    return Finding(Level.FAIL, check, measured, remedy)
