"""uWSGI as Debian brings it, without threads unless asked: nothing is lost, and `doctor` says who is missing."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from alias_middleware import doctor
from alias_middleware.doctor import Finding, Level
from tests.servers.catalogue import uwsgi
from tests.servers.launch import Site
from tests.servers.load import ALIAS, NAMED
from tests.support.real import require_program

_PLUGINS = Path("/usr/lib/uwsgi/plugins")
_PAGES = 40


@pytest.fixture(scope="module")
def program() -> list[str]:
    """Debian's uWSGI, told to run this Python."""
    require_program("uwsgi-core")
    plugin = _PLUGINS / f"python{sys.version_info.major}{sys.version_info.minor}_plugin.so"
    if not plugin.exists():
        pytest.skip("Debian's uWSGI is for another Python than this one")
    return ["uwsgi-core", "--plugin", str(plugin)]


def examined(site: Site, program: Sequence[str], *options: str) -> tuple[Finding, Mapping[str, Any]]:
    """Serve pages, and give what `doctor` found about the drainer and what was counted meanwhile."""
    packages = ["--pythonpath", sysconfig.get_path("platlib")]
    server = uwsgi("Debian's uWSGI", *packages, *options, program=program)
    with site.served_by(server) as served, site.tracker() as tracker:
        for _ in range(_PAGES):
            assert served.ask("GET", "/", NAMED).body == ALIAS
        target = doctor.target_of(f"http://127.0.0.1:{served.where}/")
        report = doctor.examine(tracker, entropy=os.urandom, patience=2.0, target=target)
        (found,) = (finding for finding in report.findings if finding.check == "drainer")
        return found, tracker.counters()


def test_without_threads_nobody_drains_and_nothing_is_lost(tmp_path: Path, program: list[str]) -> None:
    """Pages wait in the spool for the most part, `doctor` names the remedy, and the next drainer stores them."""
    site = Site(tmp_path)
    found, counts = examined(site, program)
    assert found.level is Level.FAIL
    assert "nobody drains" in found.measured
    assert "enable-threads" in found.remedy
    assert counts["seen"] == _PAGES == counts["spooled"] + counts["stored"]  # a request lends the thread a moment
    with site.tracker() as tracker:
        assert tracker.flush()
        later = tracker.counters()
    assert (later["seen"], later["spooled"], later["stored"]) == (_PAGES, 0, _PAGES)


def test_with_threads_it_drains(tmp_path: Path, program: list[str]) -> None:
    """The remedy is one."""
    found, counts = examined(Site(tmp_path), program, "--enable-threads")
    assert found.level is Level.OK
    assert counts["stored"] == _PAGES
