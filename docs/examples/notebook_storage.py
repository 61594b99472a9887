"""A whole storage in one file, to learn from: `notebook:///var/lib/site/alias.notebook`.

The file holds, in order, all that it was told; the reference storage in memory works out what that adds up to.

    alias-middleware conformance 'notebook://{folder}/alias' --import docs.examples.notebook_storage
"""

from __future__ import annotations

import fcntl
import pickle  # of our own file only, which nobody else may write
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from alias_middleware.errors import SettingsError, StorageUnavailable
from alias_middleware.identity import keyed_hash
from alias_middleware.statistics.clients import place_of
from alias_middleware.storage import register
from alias_middleware.storage.base import Abilities, Batch, Storage
from alias_middleware.storage.memory import MemoryStorage


def _asks(verb: str, *, visitor: bool = False) -> Any:
    def ask(self: NotebookStorage, *asked: Any, **named: Any) -> Any:  # of a (namespace, key), or of everybody
        with self._open() as memory:
            hidden = (asked[0], self._hash(*asked[:2]), *asked[2:]) if visitor else asked
            return getattr(memory, verb)(*hidden, **named)

    return ask


class NotebookStorage(Storage):
    """Notes what it is told, and answers from memory."""

    abilities = Abilities(reads_block=False, shared=True)

    def __init__(self, url: str, *, secret_keys: Sequence[bytes] = ()) -> None:
        self._path = Path(url.partition("://")[2])
        if not self._path.name or not secret_keys:  # refused at start-up, with what to do about it
            raise SettingsError("notebook:///a/file, and keys from `alias-middleware keys`", setting="storage")
        self._seen, self._secret = object(), secret_keys[0]  # the oldest: what it hashed must be found again

    def _hash(self, namespace: str, key: str) -> str:
        return keyed_hash(self._secret, "notebook", namespace, key).hex()

    @contextmanager
    def _open(self) -> Iterator[MemoryStorage]:
        """Keep everybody else out and catch up with them; what the system raises is wrapped in this one place."""
        try:
            with open(f"{self._path}-lock", "wb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)  # keeps out threads too: each has opened it for itself
                if self._seen != self._state():
                    self._replay(*(pickle.loads(self._path.read_bytes()) if self._state() else ([], {})))
                    self._seen = self._state()
                yield self._memory
        except OSError as error:
            self._seen = object()  # memory may know of something that the file does not
            raise StorageUnavailable(error.strerror or "", reason="io_error") from error

    def _state(self) -> object:
        return self._path.exists() and (self._path.stat().st_ino, self._path.stat().st_mtime_ns)

    def _replay(self, notes: list[Any], keys: dict[str, Any]) -> None:
        self._notes, self._keys, self._memory = notes, keys, MemoryStorage()
        for verb, arguments, named in notes:
            getattr(self._memory, verb)(*arguments, **named)

    def _tell(self, verb: str, *arguments: Any, keys: dict[str, Any], **named: Any) -> Any:
        """Try it in memory, where it may be refused, and note it before anybody hears of it."""
        with self._open() as memory:
            result = getattr(memory, verb)(*arguments, **named)
            known = {name: min(said, keys.get(name, said)) for name, said in self._keys.items()}
            self._write([*self._notes, (verb, arguments, named)], keys | known)  # of two times the earlier
            return result

    def _write(self, notes: list[Any], keys: dict[str, Any]) -> None:
        self._notes, self._keys, draft = notes, keys, Path(f"{self._path}-draft")
        draft.touch(mode=0o600)
        draft.write_bytes(pickle.dumps((notes, keys)))  # survives the process, not the loss of power
        draft.replace(self._path)
        self._seen = self._state()

    def change_profile(self, namespace: str, change: Any, *, timeout: float) -> Any:
        hidden = replace(change, key=self._hash(namespace, change.key))
        return self._tell("change_profile", namespace, hidden, keys={hidden.key: change.key}, timeout=timeout)

    def apply(self, batch: Batch) -> Any:
        keys = {} if batch.imported else {f"live {name}": us for name, us in batch.first_views().items()}

        def hidden(namespace: str, said: Any) -> Any:
            keys[hash_ := self._hash(namespace, said.key)] = said.key
            return replace(said, key=hash_)

        entries = [replace(each, event=hidden(each.origin.namespace, each.event)) for each in batch.entries]
        changes = [each._replace(change=hidden(each.namespace, each.change)) for each in batch.changes]
        return self._tell("apply", replace(batch, entries=entries, changes=changes), keys=keys)

    def erase(self, namespace: str, key: str, time_us: int) -> dict[str, int]:
        """Strike him out of every note; what was counted stays counted."""
        hash_ = self._hash(namespace, key)
        with self._open() as memory:
            before, gone = memory.ledger().counts, memory.erase(namespace, hash_, time_us)
            notes = [*(_without(note, hash_) for note in self._notes), ("erase", (namespace, hash_, time_us), {})]
            self._replay(notes, {other: key for other, key in self._keys.items() if other != hash_})
            self._memory.apply(missing := Batch(counts=Counter(before) - Counter(self._memory.ledger().counts)))
            self._write([*notes, ("apply", (missing,), {})], self._keys)
            return gone

    def suppress(self, namespace: str, key: str, suppression: Any) -> None:
        self._tell("suppress", namespace, self._hash(namespace, key), suppression, keys={})

    def clientele(self, page: Any) -> Any:
        all_ = page._replace(after=None, limit=2**62)
        people = {self._keys[hash_]: known for hash_, known in _asks("clientele")(self, all_)}
        places = (place_of(key, known, page.order_by, page.currency) for key, known in people.items())
        after = (-page.after.value, page.after.key) if page.after else (-(2**62), "")
        ranks = sorted(rank for place in places if (rank := (-place.value, place.key)) > after)
        return [(key, people[key]) for _, key in ranks[: page.limit]]

    def history(self, *asked: Any, **named: Any) -> Any:
        return [replace(event, key=asked[1]) for event in _asks("history", visitor=True)(self, *asked, **named)]

    def live_since(self, service: str) -> int | None:
        with self._open():
            return self._keys.get(f"live {service}")

    read_profile, read_knowledge = _asks("read_profile", visitor=True), _asks("read_knowledge", visitor=True)
    erased_at, suppressions = _asks("erased_at", visitor=True), _asks("suppressions", visitor=True)
    rollups, span, verify, category_sums = map(_asks, ("rollups", "span", "verify", "category_sums"))
    ledger, close = _asks("ledger"), _asks("close")


def _without(note: Any, hash_: str) -> Any:
    verb, (first, *rest), named = note
    if verb == "change_profile" and rest[0].key == hash_:
        return verb, (first, replace(rest[0], operations=())), named
    if verb == "apply":  # its services stay known
        entries = [each for each in first.entries if each.event.key != hash_]
        changes = [each for each in first.changes if each.change.key != hash_]
        days = {(each.origin, each.event.day): 0 for each in first.entries} | first.unidentified
        return verb, (replace(first, entries=entries, changes=changes, unidentified=days),), named
    return note


register("notebook", NotebookStorage)
