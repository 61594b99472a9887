"""The base in PostgreSQL: one life in our storage and as plain rows, on a server of its own; made once and kept.

It writes as safely as PostgreSQL does by default: `SETTINGS` has what differs from that.
"""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path

import msgspec
import psycopg

from alias_middleware import Tracker
from alias_middleware.events import body_of, kind_of
from alias_middleware.storage.base import Batch, Entry, Origin
from benchmarks.base import GAP_US, event_of
from benchmarks.life import FIRST_DAY, Life, Size
from benchmarks.site import SERVICE
from tests.support.postgresql import PostgreSQLServer, packaged_programs

SETTINGS = {"fsync": "on", "max_wal_size": "4GB", "shared_buffers": "1GB"}

_ORIGIN = Origin(SERVICE, SERVICE, GAP_US)
_BATCH = 10_000
_TENTHS = 10
_FORM = 1
"""Raised whenever what is built changes, so that an older base is not taken for it."""

_COLUMNS = "key text, time_us bigint, id bigint, day integer, service text, channel text, kind text, body bytea"
_ROWS = f"CREATE TABLE public.rows ({_COLUMNS})"
_KEYED_ROWS = f"CREATE TABLE public.keyed_rows ({_COLUMNS}, PRIMARY KEY (day, service, key, time_us, id))"


class Tenth(msgspec.Struct):
    """Seconds that a tenth of the history took: applied, copied as rows without and with a key, and rolled up."""

    events: int = 0
    applied: float = 0.0
    copied: float = 0.0
    copied_keyed: float = 0.0
    rolled_up: float = 0.0


class PostgreSQLBase:
    """The base of one size in a folder."""

    def __init__(self, folder: Path, size: Size) -> None:
        self.size = size
        self.folder = folder / f"postgresql-{size.page_views}-{size.days}-{_FORM}"

    def build(self) -> None:
        """Make what is not there yet; one cut short is made anew."""
        if self._done.exists():
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        for path in (self.folder.parent, self.folder):
            path.chmod(0o755)  # the server's user must reach what is in it
        with self.server() as server:
            tenths = self._fill(server)
        self._done.write_bytes(msgspec.json.encode(tenths))

    @contextmanager
    def server(self) -> Iterator[PostgreSQLServer]:
        """Run the base's server until the end of the block."""
        server = PostgreSQLServer(packaged_programs(), self.folder, **SETTINGS)
        try:
            server.start()
            yield server
        finally:
            server.stop()

    def tracker(self, server: PostgreSQLServer) -> Tracker:
        """The base as a cron job has it."""
        return Tracker(
            service=SERVICE,
            storage=server.url(),
            spool="/nonexistent",  # nothing is recorded here: batches are handed to the storage
            secret_keys=["a key of the benchmark, of many bytes"],
            trusted_gateways=["10.12.0.0/16"],
            writer="external",
            raise_errors=True,
        )

    def tenths(self) -> list[Tenth]:
        """What making the base took."""
        return msgspec.json.decode(self._done.read_bytes(), type=list[Tenth])

    @property
    def _done(self) -> Path:
        return self.folder / "done.json"

    def _fill(self, server: PostgreSQLServer) -> list[Tenth]:
        """Apply and copy in turn, batch by batch; and have the figures asked for after each tenth."""
        life = Life(self.size)
        tenths = [Tenth() for _ in range(_TENTHS)]
        total, done = self.size.page_views + self.size.purchases, 0
        entries = _entries(life)
        with closing(self.tracker(server)) as tracker, psycopg.connect(server.url(), autocommit=True) as plain:
            plain.execute(_ROWS)
            plain.execute(_KEYED_ROWS)
            while batch := list(islice(entries, min(_BATCH, total // (2 * _TENTHS)))):
                tenth = tenths[min(_TENTHS - 1, done * _TENTHS // total)]
                tenth.events += len(batch)
                tenth.applied += _seconds(lambda: tracker.storage.apply(Batch(entries=batch)))
                tenth.copied += _seconds(lambda: _copy(plain, "rows", batch))
                tenth.copied_keyed += _seconds(lambda: _copy(plain, "keyed_rows", batch))
                done += len(batch)
                if done * _TENTHS // total > tenths.index(tenth):
                    tenth.rolled_up += _seconds(lambda: tracker.statistics.summary(FIRST_DAY, life.until))
        return tenths


def _entries(life: Life) -> Iterator[Entry]:
    ids = random.Random(1)
    for day, steps in life.days():
        ordinal = day.toordinal()
        for step in steps:
            yield Entry(_ORIGIN, event_of(step, ordinal), ids.getrandbits(63))


def _copy(plain: psycopg.Connection, table: str, batch: Sequence[Entry]) -> None:
    """The least that keeps events: rows at the end of one table, in one transaction, written as text at once."""
    rows = [
        f"{event.key}\t{event.time_us}\t{entry.id}\t{event.day}\t{SERVICE}\t{event.channel}\t{kind_of(event)}\t"
        f"\\\\x{body_of(event).hex()}\n"
        for entry in batch
        for event in (entry.event,)
    ]
    with plain.cursor().copy(f"COPY public.{table} FROM STDIN") as copy:
        copy.write("".join(rows))


def _seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun
