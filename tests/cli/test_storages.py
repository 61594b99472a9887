"""`migrate` and `conformance`: what they say and how they end."""

from __future__ import annotations

import pytest

from alias_middleware import storage as storages
from alias_middleware.storage import register
from alias_middleware.storage.postgresql.schema import MIGRATIONS
from tests.cli.conftest import Run, error_line
from tests.support.broken_storages import CountsTwice
from tests.support.postgresql import debian_programs, postgresql_server


def test_migrate_prints_the_statements(run: Run) -> None:
    """Without a server: for people with their own migrations, and for a cluster."""
    printed = run("migrate", "--sql", ALIAS_STORAGE="postgresql://nowhere.invalid/d?schema=mine").stdout
    assert printed.startswith("CREATE SCHEMA IF NOT EXISTS mine;\nSET search_path = mine;\n")
    assert "create_distributed_table" not in printed
    spread = run("migrate", "--sql", "--distributed", "--storage", "postgresql://nowhere.invalid/d").stdout
    assert "SELECT create_distributed_table('events', 'key', colocate_with => 'profiles');" in spread


def test_migrate_makes_the_tables(run: Run) -> None:
    """Once; a second time there is nothing to do."""
    with postgresql_server(debian_programs()) as server:
        said = [run("migrate", "--storage", server.url()).stdout for _ in range(2)]
    assert said == [f"{len(MIGRATIONS)} steps taken\n", "Nothing to do: the tables are up to date\n"]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        pytest.param("sqlite:///alias.db", "makes its tables itself", id="a file"),
        pytest.param("postgresql://127.0.0.1:1/d", "cannot be reached", id="nobody there"),
        pytest.param("mongo://host", "no storage serves mongo://", id="an unknown scheme"),
    ],
)
def test_migrate_says_in_one_line_what_is_wrong(run: Run, url: str, message: str) -> None:
    """A storage that needs no such thing, a server that does not answer, a typing error."""
    result = run("migrate", "--storage", url)
    assert result.exit_code != 0
    assert message in error_line(result)


def test_conformance_of_an_honest_storage(run: Run) -> None:
    """It ends with 0 and says how many promises were kept."""
    result = run("conformance", "memory://", "--only", "half_open or stranger")
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "3 of 3 checks kept")


def test_conformance_names_what_is_broken(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check, what it promises, and exit code 1."""
    monkeypatch.setattr(storages, "_registered", {})
    register("twice", lambda url, secret_keys: CountsTwice())
    result = run("conformance", "twice://", "--only", "an_event_counts_once")
    assert result.exit_code == 1
    assert "BROKEN an_event_counts_once: Equal ids are one event" in result.stdout


def test_conformance_never_runs_on_data_of_yours(run: Run) -> None:
    """A shared storage must say where each check's own data go."""
    result = run("conformance", "sqlite:///alias.db")
    assert result.exit_code == 2
    assert "{name} or {folder}" in error_line(result)


def test_conformance_in_fresh_folders(run: Run) -> None:
    """Each check finds a file of its own, also one that opens it twice."""
    result = run("conformance", "sqlite:///{folder}/alias.db", "--only", "what_is_closed_opens_again")
    assert result.exit_code == 0, result.stdout


def test_checks_that_match_nothing_prove_nothing(run: Run) -> None:
    """Exit code 1."""
    assert run("conformance", "memory://", "--only", "no_such_check").exit_code == 1
