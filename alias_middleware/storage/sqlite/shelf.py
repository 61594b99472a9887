"""The shelf: stored profiles that this process read lately, good as long as their versions are what they were.

A read of SQLite takes file locks and 7 µs, more than half of what a whole page may cost; a look at the shelf
takes under one. What is on it never outlives

- a change by any process of this library, from the moment it is committed (see `versions`);
- the files: whether they are still the same is looked at with every 64th read, and with the first one when the
  last look was a second ago; that holds for a deleted file of versions, too;
- five minutes of reading. A change made by other means (the sqlite3 shell) is seen by then.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from alias_middleware.profile import StoredProfile
from alias_middleware.storage.sqlite.versions import Versions, make_versions, open_versions

LOOK_EVERY = 64
_LOOK_SECONDS = 1.0
_TURN_SECONDS = 150.0
_MOST_BYTES = 3 << 20
_ENTRY_BYTES = 400
_LARGEST_BYTES = 4096
_EMPTY = b"{}"

Renew = Callable[[str, str], None]
"""Renews the version of a visitor, by (namespace, key), before his profile is changed."""

Identity = tuple[tuple[int, int] | None, ...]


class Kept(StoredProfile, frozen=True, eq=False, gc=False, kw_only=True):
    """A profile on the shelf: the words to compare, the place of `begun` in them, and what it was.

    A visitor whom no request has met for a while is in no cache of the processor, and each object of his takes
    longer to reach than a line of Python to run. So there are few of them: one for profile and version, which the
    garbage collector leaves alone, no pair of namespace and key, no empty document.
    """

    words: memoryview
    place: int
    begun: int

    def __reduce__(self) -> tuple[type[StoredProfile], tuple[bytes, bytes, bytes]]:
        """Have a copy, in a pickle as well, be of the documents alone: the words are this process's memory."""
        return StoredProfile, (self.preferences, self.personal, self.consents)


_Entries = defaultdict[str, dict[str, Kept]]
"""By namespace and by key."""


class Slip(NamedTuple):
    """Where a profile that is about to be read may be kept, and as of which versions and files."""

    entries: _Entries
    words: memoryview
    place: int
    begun: int
    files: Identity


class Changes:
    """The visitors that one transaction on the preferences file changes, and their versions."""

    __slots__ = ("_begun", "_shelf", "_versions")

    def __init__(self, shelf: Shelf) -> None:
        """Begin with nobody."""
        self._shelf = shelf
        self._versions: Versions | None = None
        self._begun: dict[int, int] = {}

    def begin(self, namespace: str, key: str) -> None:
        """Renew a visitor's version. Inside the transaction, with the write lock held: nothing is changed without.

        Raises:
            OSError: the versions are there and cannot be renewed; nothing may be committed.
        """
        if not self._begun:
            self._versions = self._shelf.versions_to_renew()
        if self._versions is not None:
            place = self._versions.place(namespace, key)
            self._begun[place] = self._versions.begin(place)

    def end(self) -> None:
        """Say that the transaction has ended."""
        if self._versions is not None:
            for place, begun in self._begun.items():
                self._versions.end(place, begun)


class Shelf:
    """What one process keeps of one preferences file. Without a file of versions nothing is kept.

    Thread-safe without a lock: entries are replaced together, and what was read before goes where nobody looks.
    """

    def __init__(self, history: Path, preferences: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Keep what is read of these files; nothing is opened yet. `clock` gives seconds that only grow."""
        self._clock = clock
        self._paths = (history, preferences)
        self._versions_path = preferences.with_name(preferences.name + "-versions")
        self.close()

    def close(self) -> None:
        """Let go of everything; the next look begins anew."""
        self._versions: Versions | None = None
        self.files: Identity = ()
        """Which files there were when it was last looked."""
        self._asked = 0
        self._look_at = self._turn_at = 0.0
        self._forget()

    def _forget(self) -> None:
        # In two halves by age: the older goes when the younger is full, or two and a half minutes old.
        self._young: _Entries = defaultdict(dict)
        self._old: _Entries = defaultdict(dict)
        self._bytes = 0

    @property
    def keeps(self) -> bool:
        """Whether there was a file of versions when it was last looked."""
        return self._versions is not None

    def find(self, namespace: str, key: str) -> StoredProfile | None:
        """Give a visitor's documents, None where they have to be read."""
        clock = self._clock  # called as `self._clock`, it would be sought among the methods first
        self._asked += 1  # as `look_if_due`, without its call
        if self._asked % LOOK_EVERY == 0 or clock() >= self._look_at:
            self.look()
        entry = self._young[namespace].get(key) or self._old[namespace].get(key)
        if entry is not None and entry.words[entry.place] == entry.begun:
            return entry
        return None

    def look_if_due(self) -> None:
        """Look with every 64th call, and when the last look was a second ago."""
        self._asked += 1
        if self._asked % LOOK_EVERY == 0 or self._clock() >= self._look_at:
            self.look()

    def look(self) -> None:
        """Look whether the files are still the same, and let the oldest go."""
        now = self._clock()
        self._look_at = now + _LOOK_SECONDS
        files = identity_of(*self._paths)
        versions = self._versions
        if files != self.files or identity_of(self._versions_path) != (versions and versions.identity,):
            self._forget()
            self.files = files
            self._versions = self._opened()
        elif now >= self._turn_at:
            self._turn()
            self._turn_at = now + _TURN_SECONDS

    def _opened(self) -> Versions | None:
        try:
            return open_versions(self._versions_path)
        except OSError:
            return None

    def slip(self, namespace: str, key: str) -> Slip | None:
        """Give, before a visitor's documents are read, where to `keep` them; None where they cannot be kept."""
        versions = self._versions
        if versions is None:
            return None
        place = versions.place(namespace, key)
        begun = versions.settled(place)
        return None if begun is None else Slip(self._young, versions.words, place, begun, self.files)

    def keep(self, slip: Slip | None, namespace: str, key: str, profile: StoredProfile, files: Identity) -> None:
        """Keep what was read after `slip` was given, by a connection opened on `files`."""
        size = profile.size
        if slip is None or slip.files != files or size > _LARGEST_BYTES:
            return
        slip.entries[namespace][key] = Kept(
            profile.preferences,
            profile.personal,
            profile.consents,
            words=slip.words,
            place=slip.place,
            begun=slip.begun,
        )
        self._bytes += size + _ENTRY_BYTES
        if self._bytes > _MOST_BYTES:
            self._turn()

    def _turn(self) -> None:
        self._old, self._young, self._bytes = self._young, defaultdict(dict), 0

    def versions_to_renew(self) -> Versions | None:
        """Give the versions that are there now, made if need be; for who holds the write lock.

        Raises:
            OSError: they are there and cannot be used.
        """
        versions = self._versions
        if versions is None or identity_of(self._versions_path) != (versions.identity,):
            versions = make_versions(self._versions_path, self._paths[1])
            self._forget()
            self._versions = versions
        return versions


def identity_of(*paths: Path) -> Identity:
    """Tell files from those that take their places; None for a missing one."""
    return tuple(map(_identity, paths))


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def stored_profile(row: tuple[bytes, bytes, bytes]) -> StoredProfile:
    """Take the documents of a row, those that are empty as one object: many profiles are kept on the shelf."""
    return StoredProfile(*(_EMPTY if document == _EMPTY else document for document in row))
