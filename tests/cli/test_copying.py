"""`copy` and `keys --of`: what they say, and how they end."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from alias_middleware.secret import secret_bytes
from alias_middleware.storage import open_storage
from alias_middleware.storage.base import Batch
from alias_middleware.testing.histories import Teller
from tests.cli.conftest import Run, error_line
from tests.support.databases import sqlite_file


@pytest.fixture
def target(tmp_path: Path, database: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a fresh storage that knows the key of the one with a little history."""
    monkeypatch.setenv("ALIAS_SECRET_KEYS", run("keys", "--of", database).stdout.strip())
    return f"sqlite:///{tmp_path}/target.db"


def test_a_copy_by_steps(run: Run, database: str, target: str) -> None:
    """First while the site goes on, then the last pass, then nothing any more; each is equal at its end."""
    first = run("copy", database, target, "--json")
    assert first.exit_code == 0
    done = msgspec.json.decode(first.stdout)
    assert (done["kept"]["events"], done["kept"]["profiles"], done["differences"]) == (3, 1, [])
    final = run("copy", database, target, "--final")
    assert (final.exit_code, "restart" in final.stderr, "nothing" in final.stdout) == (0, True, True)
    again = run("copy", database, target)
    assert (again.exit_code, "nothing" in again.stdout) == (0, True)


@pytest.mark.parametrize("memory_first", [True, False])
def test_memory_is_not_copied(run: Run, database: str, memory_first: bool) -> None:
    """The command's own would be empty anyway; it says so, and changes nothing."""
    refused = run("copy", *(["memory://", database] if memory_first else [database, "memory://"]))
    assert refused.exit_code == 2
    assert "memory:// lives and ends with its process: it cannot be copied" in error_line(refused)
    with closing(open_storage(database)) as storage:
        assert not storage.moving().standing().sealed


def test_going_back_before_the_target_is_used(run: Run, database: str, target: str) -> None:
    """The site stays with the source; a later copy goes on."""
    run("copy", database, target, "--final")
    given_up = run("copy", database, target, "--give-up")
    assert (given_up.exit_code, "open again" in given_up.stderr) == (0, True)
    with closing(open_storage(database)) as storage:
        storage.apply(Batch(entries=[Teller().view("2026-03-02T12:00")]))
    assert "events" in run("copy", database, target, "--final").stdout


def test_no_going_back_once_the_target_is_used(run: Run, database: str, target: str) -> None:
    """What it has taken since would be lost; another copy of what is there now names what differs."""
    run("copy", database, target, "--final")
    with closing(open_storage(target)) as storage:
        storage.apply(Batch(entries=[Teller().view("2026-03-02T12:00")]))
    refused = run("copy", database, target, "--give-up")
    assert refused.exit_code == 2
    assert "used since" in error_line(refused)
    compared = run("copy", database, target)
    assert compared.exit_code == 1
    assert "page_views" in compared.stdout


def test_totals_that_differ_are_named_and_the_site_stays(
    run: Run, database: str, target: str, tmp_path: Path
) -> None:
    """The exit code tells it; the source is open again."""
    run("copy", database, target)
    with sqlite_file(tmp_path / "target.db") as file:
        file.execute("DROP TRIGGER sealed_arrivals_DELETE")
        file.execute("DELETE FROM arrivals")
        file.execute("DROP TRIGGER sealed_changes_UPDATE")
        file.execute("UPDATE changes SET mark = random()")
    failed = run("copy", database, target, "--final", "--json")
    assert failed.exit_code == 1
    differing = {each["what"] for each in msgspec.json.decode(failed.stdout)["differences"]}
    assert {"new_visitors", "arrivals"} == differing
    with closing(open_storage(database)) as storage:
        storage.apply(Batch(counts={"seen": 1}))


def test_a_failure_in_the_last_pass_opens_the_source(
    run: Run, database: str, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it is."""
    monkeypatch.setattr("alias_middleware.cli.copying.Work._compare", lambda work: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run("copy", database, target, "--final")
    with closing(open_storage(database)) as storage:
        storage.apply(Batch(counts={"seen": 1}))


def test_the_keys_must_be_known(run: Run, database: str, tmp_path: Path) -> None:
    """A target without the source's own key is refused, and the way to it named."""
    key = run("keys", "--of", database).stdout.strip()
    refused = run("copy", database, f"sqlite:///{tmp_path}/target.db")
    assert refused.exit_code == 2
    assert "alias-middleware keys --of" in error_line(refused)
    assert secret_bytes(key) == (tmp_path / "alias.db-key").read_bytes()


def test_a_storage_with_the_settings_keys_has_none_of_its_own(run: Run, tmp_path: Path) -> None:
    """Where somebody was erased under the keys of the settings, no other key is made up."""
    url = f"sqlite:///{tmp_path}/one.db"
    with closing(open_storage(url, secret_keys=[b"a key of the settings"])) as storage:
        storage.erase("portal", "k", 1)
    refused = run("keys", "--of", url)
    assert refused.exit_code == 2
    assert "those of the settings" in error_line(refused)
    assert not (tmp_path / "one.db-key").exists()
