"""Fixtures for every test."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from contextvars import copy_context
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from alias_middleware.storage.sqlite import SQLiteStorage
from tests.support.citus import Cluster, citus_cluster
from tests.support.postgresql import PostgreSQLServer, debian_programs, packaged_programs, postgresql_server
from tests.support.site import Site

pytest_plugins = ["tests.support.second_try"]

settings.register_profile("suite", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")


_ONCE = (
    "browser",
    "contact",
    "dashboard",
    "docs",
    "doctor",
    "faults",
    "fuzz",
    "gateways",
    "postgresql",
    "servers",
    "smsplus",
    "soak",
)
"""Folders of tests that need no other Python: what they prove is a real program's part, or a page's."""


_REPEATED = re.compile(
    r"/faults/test_(crashes|disasters|postgresql|switch)\.py|/test_(benchmarks|comparison|concurrency)\.py"
    r"|::test_(concurrent_field_operations|a_drainer_killed)_|::test_(the_sweep|any_text_is_read)\b"
    r"|::test_random_(histories|replacements)_equal_the_reference\[[1-9]"
)
"""Tests that do over and over what others do once: with coverage they would take twice the time, and add none."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what runs on one Python only, and what is run without coverage."""
    root = Path(__file__).parent
    for item in items:
        if not set(_ONCE).isdisjoint(item.path.relative_to(root).parts):
            item.add_marker(pytest.mark.once)
        if _REPEATED.search(item.nodeid):
            item.add_marker(pytest.mark.no_cover)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    """Run the processes of a test without coverage if the test is."""
    with pytest.MonkeyPatch.context() as patch:
        if item.get_closest_marker("no_cover"):
            patch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
        return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool:
    """Run each test in a context of its own: an answer that one leaves open leaves no visitor to the next."""
    names = pyfuncitem._fixtureinfo.argnames
    copy_context().run(pyfuncitem.obj, **{name: pyfuncitem.funcargs[name] for name in names})
    return True


@pytest.fixture(params=["wsgi-memory", "wsgi-sqlite", "asgi-memory", "asgi-sqlite"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """A site on each edge with each storage."""
    edge, storage = request.param.split("-")
    made = Site(edge, storage, tmp_path)
    yield made
    made.close()


@pytest.fixture
def make_site(tmp_path: Path) -> Iterator[Any]:
    """Make a site on one edge, in memory unless said otherwise."""
    made: list[Site] = []

    def make(edge: Any = "wsgi", storage: Any = "memory", **settings: Any) -> Site:
        one = Site(edge, storage, tmp_path)
        one.settings.update(settings)
        made.append(one)
        return one

    yield make
    for one in made:
        one.close()


@pytest.fixture(scope="session")
def debian_postgresql() -> Iterator[PostgreSQLServer]:
    """Debian's PostgreSQL (15 in Debian 12)."""
    with postgresql_server(debian_programs()) as server:
        yield server


@pytest.fixture(scope="session")
def packaged_postgresql() -> Iterator[PostgreSQLServer]:
    """PyPI's PostgreSQL (18)."""
    with postgresql_server(packaged_programs()) as server:
        yield server


@pytest.fixture(scope="session")
def citus() -> Iterator[Cluster]:
    """A Citus cluster, where the environment names one."""
    with citus_cluster() as cluster:
        yield cluster


@pytest.fixture
def sqlite_storage(tmp_path: Path) -> Iterator[SQLiteStorage]:
    """A new SQLite storage, in the test's own folder."""
    storage = SQLiteStorage(f"sqlite:///{tmp_path}/alias.db")
    yield storage
    storage.close()
