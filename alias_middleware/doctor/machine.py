"""What this machine offers the site: the spool's folder, the storage's files, their disk, the versions."""

from __future__ import annotations

import os
import platform
import sqlite3
import stat
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from alias_middleware.doctor.findings import Finding, fail, ok, warn
from alias_middleware.segments import UNREADABLE_SUFFIX
from alias_middleware.spool import folder_size
from alias_middleware.writer import REJECTED

_MOUNTS = Path("/proc/self/mountinfo")
_VOLATILE = frozenset({"tmpfs", "ramfs", "devtmpfs"})
_NETWORKED = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "fuse.sshfs", "fuse.glusterfs", "afs"}
)
_LAYERED = frozenset({"overlay", "aufs"})
_LEAST_BYTES = 16 << 20
_LEAST_SQLITE = (3, 24)
"""The first with UPSERT, which the SQLite storage writes with."""
_OTHERS = 0o077


def versions() -> list[Finding]:
    """Tell the versions, and whether they are new enough."""
    said = (
        f"alias_middleware {_own_version()}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    )
    if sqlite3.sqlite_version_info < _LEAST_SQLITE:
        return [fail("versions", said, "use a Python with a newer SQLite: the storage needs 3.24")]
    return [ok("versions", said)]


def _own_version() -> str:
    try:
        return version("alias-middleware")
    except PackageNotFoundError:
        return "(not installed)"


def spool(folder: Path, limit: int) -> list[Finding]:
    """Check the folder that every event goes through first; `limit`: the bytes it may take."""
    if not folder.exists():
        return [warn("spool", f"{folder} is not there", "it is made at the first event: check --spool")]
    if not folder.is_dir():
        return [fail("spool", f"{folder} is no folder", "name a folder of its own in the setting spool")]
    try:
        found = [*_access(folder), *_place("spool", folder), *_room(folder, limit), *_left_behind(folder)]
    except OSError as error:
        return [fail("spool", f"{folder}: {error.strerror}", "run the doctor as the user of the site")]
    return found or [ok("spool", f"{folder}, {folder_size(folder)} bytes, {_free(folder)} bytes free")]


def ownership(folder: Path, storage: Path | None) -> list[Finding]:
    """Check that what the site has made is ours: what another user made there, one of us could not use.

    `folder`: the spool's; `storage`: the file of a storage on this machine.
    """
    for path in _made_by_the_site(folder, storage):
        with suppress(FileNotFoundError):
            owner = path.lstat().st_uid
            if owner != os.geteuid():
                what = f"{path} belongs to another user (number {owner}): what runs was not looked at"
                return [
                    fail(
                        "user", what, "run all commands as the user of the site, and chown to him what is not his"
                    )
                ]
    return []


def _made_by_the_site(folder: Path, storage: Path | None) -> Iterator[Path]:
    yield folder
    if folder.is_dir():
        yield from folder.iterdir()
    if storage is not None:
        yield from storage.parent.glob(f"{storage.name}*")


def _access(folder: Path) -> Iterator[Finding]:
    status = folder.stat()
    if stat.S_IMODE(status.st_mode) & _OTHERS:
        yield warn("spool", f"{folder} is open to other users ({stat.filemode(status.st_mode)})", "chmod 700 it")
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x")
    except OSError as error:
        yield fail(
            "spool",
            f"{folder} cannot be written: {error.strerror}",
            "events are dropped as spool_unwritable: give the site's user a folder that it may write",
        )


def storage_files(path: Path) -> list[Finding]:
    """Check the files of a storage on this machine."""
    found = list(_place("disk", path.parent))
    for file in sorted(path.parent.glob(f"{path.name}*")):
        mode = file.lstat().st_mode
        if stat.S_ISREG(mode) and stat.S_IMODE(mode) & _OTHERS:
            found.append(warn("disk", f"{file} is open to other users ({stat.filemode(mode)})", "chmod 600 it"))
    if _free(path.parent) < _LEAST_BYTES:
        found.append(fail("disk", f"{_free(path.parent)} bytes are free beside {path}", "make room"))
    return found or [ok("disk", f"{path}, {_free(path.parent)} bytes free")]


def _place(check: str, folder: Path) -> Iterator[Finding]:
    """Check that a folder is on a disk that stays."""
    kind = filesystem(folder)
    if kind in _VOLATILE:
        yield fail(
            check,
            f"{folder} is in memory ({kind}): a restart of the machine empties it",
            "put it on a persistent disk",
        )
    elif kind in _NETWORKED:
        yield fail(
            check, f"{folder} is on a network file system ({kind})", "locks do not hold there: use a local disk"
        )
    elif kind in _LAYERED:
        yield warn(check, f"{folder} is in a container's own layer ({kind})", "mount a volume")


def _room(folder: Path, limit: int) -> Iterator[Finding]:
    used, free = folder_size(folder), _free(folder)
    if free < _LEAST_BYTES:
        yield fail("spool", f"{free} bytes are free on the disk of {folder}", "make room: events will be dropped")
    elif free < limit - used:
        yield warn(
            "spool",
            f"{free} bytes are free on the disk of {folder}, which may grow to {limit}",
            "make room, or lower spool_limit",
        )
    if os.statvfs(folder).f_files and not os.statvfs(folder).f_favail:
        yield fail("spool", f"the disk of {folder} has no inode left", "delete files there")
    if used * 2 > limit:
        level = fail if used * 10 > limit * 9 else warn
        yield level("spool", f"{folder} holds {used} of {limit} bytes", "see what is said of the drainer")


def _left_behind(folder: Path) -> Iterator[Finding]:
    rejected = folder / REJECTED
    aside = [entry.name for entry in folder.iterdir() if entry.name.endswith(UNREADABLE_SUFFIX)]
    if rejected.exists():
        yield warn("spool", f"{rejected} keeps events that no storage took", "read it, then move it away")
    if aside:
        yield warn("spool", f"{len(aside)} unreadable segments were set aside", "check the disk; then delete them")


def _free(folder: Path) -> int:
    """Give the bytes that we may still write."""
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize


def filesystem(folder: Path, mounts: Path = _MOUNTS) -> str:
    """Give the kind of the file system that a folder is on, "" where the machine does not tell.

    `mounts`: the kernel's list of what is mounted where (proc(5), mountinfo).
    """
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    best, kind = -1, ""
    real = folder.resolve()
    for line in lines:
        where, _, what = line.partition(" - ")
        mounted = Path(where.split()[4].encode().decode("unicode_escape"))
        depth = len(mounted.parts)
        if depth >= best and real.is_relative_to(mounted):
            best, kind = depth, what.split()[0]
    return kind
