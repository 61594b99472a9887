"""Folders and disks in the state they should not be in."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from alias_middleware.doctor.findings import Finding, Level, worst
from alias_middleware.doctor.machine import filesystem, ownership, spool, storage_files, versions
from alias_middleware.spool import folder_size
from alias_middleware.writer import REJECTED
from tests.support.disks import tiny_disk

_LIMIT = 1 << 20


def said(findings: list[Finding], level: Level) -> str:
    """Give what findings of a level say."""
    return "; ".join(finding.measured for finding in findings if finding.level is level)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A spool's folder as the library makes it."""
    made = tmp_path / "alias.db-spool"
    made.mkdir(mode=0o700)
    return made


def test_versions_are_told() -> None:
    """What runs here is new enough, and named."""
    (found,) = versions()
    assert found.level is Level.OK
    assert "Python" in found.measured


def test_good_spool_leaves_nothing_to_do(folder: Path) -> None:
    """A private folder with room is well, wherever the tests' own disk is; looking at it leaves nothing there."""
    found = spool(folder, _LIMIT)
    assert all(
        "memory" in finding.measured or "layer" in finding.measured or not finding.remedy for finding in found
    )
    assert os.listdir(folder) == []


def test_missing_spool_is_warned_of(tmp_path: Path) -> None:
    """It may be that nothing was recorded yet, or that the path is wrong; it is not made."""
    assert said(spool(tmp_path / "none", _LIMIT), Level.WARN).endswith("is not there")
    assert os.listdir(tmp_path) == []


def test_file_in_place_of_the_spool_fails(tmp_path: Path) -> None:
    """A path to something else is told."""
    (tmp_path / "file").touch()
    assert said(spool(tmp_path / "file", _LIMIT), Level.FAIL).endswith("is no folder")


def test_spool_open_to_others_is_warned_of(folder: Path) -> None:
    """It holds personal data."""
    folder.chmod(0o755)
    assert "open to other users" in said(spool(folder, _LIMIT), Level.WARN)


def test_what_was_left_behind_is_warned_of(folder: Path) -> None:
    """Rejected events and unreadable segments wait for somebody to look at them."""
    (folder / REJECTED).touch()
    (folder / "1.unreadable").touch()
    warned = said(spool(folder, _LIMIT), Level.WARN)
    assert "rejected" in warned
    assert "1 unreadable segments" in warned


@pytest.mark.parametrize(
    ("bytes_", "level"),
    [pytest.param(600_000, Level.WARN, id="over half"), pytest.param(1_000_000, Level.FAIL, id="nearly all")],
)
def test_spool_near_its_limit_is_told(folder: Path, bytes_: int, level: Level) -> None:
    """A backlog that fills it will cost events."""
    (folder / "1.spool").write_bytes(b"\0" * bytes_)
    assert f"{folder_size(folder)} of {_LIMIT} bytes" in said(spool(folder, _LIMIT), level)


def test_spool_in_memory_on_a_small_disk_fails(tmp_path: Path) -> None:
    """A tmpfs is emptied by a restart, and this one has hardly any room."""
    with tiny_disk(tmp_path / "disk", 256) as disk:
        failed = said(spool(disk, _LIMIT), Level.FAIL)
        assert "in memory (tmpfs)" in failed
        assert "bytes are free" in failed


def test_spool_that_cannot_be_written_fails(tmp_path: Path) -> None:
    """On a disk that was mounted read-only even root cannot write, and it is tried, not guessed."""
    with tiny_disk(tmp_path / "disk", 256) as disk:
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        assert "cannot be written" in said(spool(disk, _LIMIT), Level.FAIL)


def test_full_disk_of_the_spool_fails(tmp_path: Path) -> None:
    """Without a byte left nothing is recorded."""
    with tiny_disk(tmp_path / "disk", 64) as disk:
        (disk / "1.spool").write_bytes(b"\0" * (64 << 10))
        assert "cannot be written" in said(spool(disk, _LIMIT), Level.FAIL)


def test_database_open_to_others_is_warned_of(tmp_path: Path) -> None:
    """Database, preferences and key file are their owner's."""
    for name in ("alias.db", "alias.db-preferences"):
        (tmp_path / name).touch(mode=0o600)
    (tmp_path / "alias.db-key").touch(mode=0o644)
    (tmp_path / "alias.db-key").chmod(0o644)
    warned = said(storage_files(tmp_path / "alias.db"), Level.WARN)
    assert warned.count("open to other users") == 1
    assert "alias.db-key" in warned


def test_database_in_memory_fails(tmp_path: Path) -> None:
    """The database needs a disk that stays as well."""
    with tiny_disk(tmp_path / "disk", 64) as disk:
        assert "in memory" in said(storage_files(disk / "alias.db"), Level.FAIL)
        assert worst(finding.level for finding in storage_files(disk / "alias.db")) is Level.FAIL


@pytest.mark.parametrize(
    ("mounts", "kind"),
    [
        pytest.param("1 0 8:1 / / rw - ext4 /dev/sda rw\n", "ext4", id="one disk"),
        pytest.param("1 0 8:1 / / rw - ext4 a rw\n2 1 0:5 / /srv rw shared:1 - nfs4 b rw\n", "nfs4", id="deeper"),
        pytest.param("2 1 0:5 / /srv rw - nfs4 b rw\n1 0 8:1 / / rw - ext4 a rw\n", "nfs4", id="listed before"),
        pytest.param("1 0 8:1 / / rw - ext4 a rw\n2 1 0:5 / /srvs rw - nfs4 b rw\n", "ext4", id="like-named"),
        pytest.param(
            "1 0 8:1 / /srv rw - ext4 a rw\n2 1 0:5 / /srv rw - tmpfs b rw\n", "tmpfs", id="over another"
        ),
        pytest.param("1 0 8:1 / /srv/my\\040spool rw - xfs a rw\n", "", id="elsewhere, with a blank"),
    ],
)
def test_file_system_is_that_of_the_deepest_mount(tmp_path: Path, mounts: str, kind: str) -> None:
    """The kernel's list of mounts tells which disk a folder is on."""
    (tmp_path / "mountinfo").write_text(mounts)
    assert filesystem(Path("/srv/spool"), tmp_path / "mountinfo") == kind


def test_machine_that_does_not_tell_its_mounts(tmp_path: Path) -> None:
    """Where there is no such list nothing is claimed."""
    assert filesystem(tmp_path, tmp_path / "none") == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
@pytest.mark.parametrize(
    "name", ["alias.db-spool", "alias.db-spool/writer.lock", "alias.db", "alias.db-preferences"]
)
def test_file_of_another_user_fails(folder: Path, name: str) -> None:
    """One that a command left there as root, say, keeps the site from draining."""
    database = folder.parent / "alias.db"
    for path in (folder / "writer.lock", database, folder.parent / "alias.db-preferences"):
        path.touch(mode=0o600)
    assert ownership(folder, database) == []
    os.chown(folder.parent / name, 65534, 65534)
    (found,) = ownership(folder, database)
    assert (found.level, found.check) == (Level.FAIL, "user")
    assert f"{name} belongs" in found.measured
