"""Copying everything from one storage to another while the site runs, and comparing both afterwards.

A pass brings over what differs and may be cut short anywhere; the next one goes on. The last pass seals the
source: what the site records from then on waits in its spool, which is drained into the target once the site uses
that. How far the spool is drained moves along, so nothing is lost and nothing counts twice.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence

import msgspec

from alias_middleware.errors import SettingsError, StorageUnavailable
from alias_middleware.storage.base import Storage
from alias_middleware.storage.moving import EVENTS, PARTS, PSEUDONYMS, Part, Progress, Row, pages

_ROWS = 5_000
_PATIENCE_SECONDS = 10.0
_PAUSE_SECONDS = 0.05


class Copied(msgspec.Struct):
    """What a pass changed in the target: rows kept, and rows deleted, by part."""

    kept: Counter[str] = msgspec.field(default_factory=Counter)
    deleted: Counter[str] = msgspec.field(default_factory=Counter)

    def __bool__(self) -> bool:
        return bool(self.kept.total() or self.deleted.total())


class Copy:
    """One storage's data on their way into another storage."""

    def __init__(
        self,
        source: Storage,
        target: Storage,
        *,
        progress: Progress = lambda part, done, whole: None,
        rows: int = _ROWS,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Copy from `source` to `target`, some `rows` at a time; `sleep` waits so many seconds.

        Raises:
            SettingsError: one of the two cannot do it.
        """
        self._from = source.moving()
        self._to = target.moving()
        self._progress = progress
        self._rows = rows
        self._sleep = sleep

    @property
    def is_finished(self) -> bool:
        """Whether the target was filled from this source, and is in use since."""
        standing = self._to.standing()
        return not standing.sealed and standing.filled_from == self._from.identity()

    def begin(self) -> None:
        """Check that all there is can be moved, and seal the target.

        Raises:
            SettingsError: the target holds other data, lacks a key of the source, was keyed by other pseudonym
                keys or does not keep something that the source holds; or both are one storage.
            StorageError: one of the two does not answer.
        """
        identity = self._from.identity()
        if identity == self._to.identity():
            raise SettingsError("source and target are the same storage", setting="storage")
        self._require_keys()
        self._require_parts()
        standing = self._to.standing()
        if standing.filled_from != identity:
            self._require_empty()
            self._require_pseudonym_keys()
        elif not standing.sealed:
            raise SettingsError(
                "the target was filled from this source and is in use since: nothing more is copied",
                setting="storage",
            )
        self._to.seal(identity)

    def _require_keys(self) -> None:
        missing = sum(mark not in set(self._to.marks()) for mark in self._from.marks())
        if missing:
            raise SettingsError(
                f"the target lacks {missing} of the source's: the erased and the opted-out are remembered under "
                "them. `alias-middleware keys --of SOURCE` prints one that a storage made itself; put it first",
                setting="secret_keys",
            )

    def _require_parts(self) -> None:
        for part in PARTS:
            if part in self._from.keeps - self._to.keeps and not part.recounted and self._from.count(part):
                raise SettingsError(
                    f"the target keeps no {part.name.replace('_', ' ')}, and the source has some",
                    setting="storage",
                )

    def _require_pseudonym_keys(self) -> None:
        """Refuse what somebody keyed otherwise, be it without any data: a site may be about to start on it."""
        if PSEUDONYMS not in self._to.keeps & self._from.keeps:
            return
        keyed = [row for rows in pages(self._to, PSEUDONYMS, self._rows) for row in rows]
        if set(keyed) - set(self._from.find(PSEUDONYMS, _keys(PSEUDONYMS, keyed)) if keyed else []):
            raise SettingsError(
                "the target was keyed with others than the source is: give it a fresh one",
                setting="pseudonym_keys",
            )

    def _require_empty(self) -> None:
        """Refuse data; what it was keyed with may be there."""
        parts = self._to.keeps - {PSEUDONYMS}
        held = [part.name for part in PARTS if part in parts and self._to.count(part)]
        if held:
            raise SettingsError(
                f"the target holds data of its own ({held[0].replace('_', ' ')}): give it a fresh one",
                setting="storage",
            )

    def seal_source(self) -> None:
        """Let nothing change in the source any more; a batch under way is waited for.

        Raises:
            StorageUnavailable: it did not come to its end.
            SettingsError: the target lacks a key of the source.
        """
        waited = 0.0
        while True:
            try:
                self._from.seal()
                return self._require_keys()  # a key file may have been made in the last moment
            except StorageUnavailable as error:
                if error.reason != "locked" or waited >= _PATIENCE_SECONDS:
                    raise
            self._sleep(_PAUSE_SECONDS)
            waited += _PAUSE_SECONDS

    def open_source(self) -> None:
        """Let the source change again: the site stays with it."""
        self._from.open()

    def open_target(self) -> None:
        """Let the target be used."""
        self._to.open()

    def give_up(self) -> None:
        """Go back to the source: seal the target, then open the source. Only while both hold the same."""
        self._to.seal(self._from.identity())
        self._from.open()

    def run(self) -> Copied:
        """Bring over everything that differs.

        Raises:
            StorageError: one of the two does not answer; call it again.
        """
        copied = Copied()
        for part in self._shared():
            if part is EVENTS:
                self._copy_events(copied)
            else:
                self._mirror(part, copied)
        if copied:
            self._to.tidy()
        return copied

    def _shared(self) -> list[Part]:
        """The parts that the target keeps, and that the source keeps or works out."""
        return [part for part in PARTS if part in self._to.keeps and (part.recounted or part in self._from.keeps)]

    def _mirror(self, part: Part, copied: Copied) -> None:
        """Keep what differs, then delete what is not in the source."""
        whole = self._from.count(part)
        fresh = not self._to.count(part)
        done = 0
        for rows in pages(self._from, part, self._rows):
            here = {} if fresh else {row[: part.keys]: row for row in self._to.find(part, _keys(part, rows))}
            differing = [row for row in rows if here.get(row[: part.keys]) != row]
            if differing:
                copied.kept[part.name] += self._to.put(part, differing)
            done += len(rows)
            self._progress(part.name, done, max(done, whole))
        if self._to.count(part) > self._from.count(part):
            self._sweep(part, copied)

    def _sweep(self, part: Part, copied: Copied) -> None:
        """Delete what the source does not have."""
        for rows in pages(self._to, part, self._rows):
            keys = _keys(part, rows)
            there = {row[: part.keys] for row in self._from.find(part, keys)}
            gone = [key for key in keys if key not in there]
            if gone:
                self._to.drop(part, gone)
                copied.deleted[part.name] += len(gone)

    def _copy_events(self, copied: Copied) -> None:
        """Bring over the days whose events may be others than those here."""
        days, moved = self._from.days(), self._to.moved_days()
        for number, (day, mark) in enumerate(sorted(days.items()), start=1):
            there, here = self._from.count(EVENTS, day=day), self._to.count(EVENTS, day=day)
            if moved.get(day) != mark or there != here:
                self._copy_day(day, mark, copied)
            self._progress(EVENTS.name, number, len(days))

    def _copy_day(self, day: int, mark: bytes, copied: Copied) -> None:
        before = self._to.count(EVENTS, day=day)
        whole = self._put_day(day)
        if whole and self._to.count(EVENTS, day=day) > self._from.count(EVENTS, day=day):
            self._to.drop_day(day)  # what was replaced or erased since is here, too
            copied.deleted[EVENTS.name] += before
            before = 0
            whole = self._put_day(day)
        copied.kept[EVENTS.name] += max(0, self._to.count(EVENTS, day=day) - before)
        if whole:
            self._to.note_day(day, mark)

    def _put_day(self, day: int) -> bool:
        """Keep a day's events; False when some were left out, of visitors who came while we were at it."""
        left_out = 0
        for rows in pages(self._from, EVENTS, self._rows, day=day):
            left_out += len(rows) - self._to.put(EVENTS, rows)
        return not left_out


def _keys(part: Part, rows: Sequence[Row]) -> list[Row]:
    return [row[: part.keys] for row in rows]
