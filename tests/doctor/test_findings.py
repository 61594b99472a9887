"""How bad a report is."""

from __future__ import annotations

import pytest

from alias_middleware.doctor.findings import Finding, Level, Report, fail, ok, warn

_OK, _WARN, _FAIL = ok("a", "x"), warn("b", "y", "z"), fail("c", "y", "z")


@pytest.mark.parametrize(
    ("findings", "level"),
    [
        pytest.param([], Level.OK, id="nothing found"),
        pytest.param([_OK], Level.OK, id="all is well"),
        pytest.param([_OK, _WARN, _OK], Level.WARN, id="a warning"),
        pytest.param([_FAIL, _WARN], Level.FAIL, id="a failure before a warning"),
    ],
)
def test_report_is_as_bad_as_its_worst_finding(findings: list[Finding], level: Level) -> None:
    """One failure makes it fail, whatever else is well."""
    assert Report(findings, []).level is level
