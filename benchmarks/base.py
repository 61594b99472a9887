"""The large base: one life in our SQLite storage, in plain SQLite rows and in DuckDB; made once and kept."""

from __future__ import annotations

import csv
import os
import random
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from decimal import Decimal
from functools import partial
from itertools import islice
from pathlib import Path

import duckdb
import msgspec

from alias_middleware import Item, Tracker
from alias_middleware.events import Event, PageView, Purchase, body_of, kind_of
from alias_middleware.storage.base import Batch, Entry, Origin
from alias_middleware.storage.sqlite.rows import insert_rows
from benchmarks.life import FIRST_DAY, Day, Life, Order, Size, View, alias
from benchmarks.site import SERVICE, job_on

GAP_US = 30 * 60 * 1_000_000
_ORIGIN = Origin(SERVICE, SERVICE, GAP_US)
_BATCH = 10_000
TENTHS = 10
_FORM = 2
"""Raised whenever what is built changes, so that an older base is not taken for it."""

_RAW = """
    CREATE TABLE raw (
        key TEXT, time_us INTEGER, id INTEGER, day INTEGER, service TEXT, channel TEXT, kind TEXT, body BLOB
    )
"""
_DATABASE = "alias.db"
_TYPES = {
    "views": "{day: 'DATE', time_us: 'BIGINT', visitor: 'INTEGER', path: 'VARCHAR', category: 'VARCHAR'}",
    "orders": "{day: 'DATE', time_us: 'BIGINT', visitor: 'INTEGER', order_id: 'VARCHAR', sku: 'VARCHAR', "
    "category: 'VARCHAR', price: 'INTEGER', quantity: 'INTEGER'}",
}


class Tenth(msgspec.Struct):
    """Seconds that a tenth of the history took: applied, appended as plain rows, and first rolled up."""

    events: int
    applied: float
    appended: float
    rolled_up: float


class Base:
    """The base of one size in a folder."""

    def __init__(self, folder: Path, size: Size) -> None:
        self.size = size
        self.folder = folder / f"{size.page_views}-{size.days}-{_FORM}"
        self.life = Life(size)

    def build(self) -> None:
        """Make what is not there yet; one cut short is made anew."""
        if self._done.exists():
            return
        if self.folder.exists():
            for path in sorted(self.folder.rglob("*"), reverse=True):
                path.rmdir() if path.is_dir() else path.unlink()
        self.folder.mkdir(parents=True, exist_ok=True)
        tenths = self._fill()
        self._load_duckdb()
        self._done.write_bytes(msgspec.json.encode(tenths))

    def tracker(self) -> Tracker:
        """The base as a cron job has it."""
        return job_on(self.folder / _DATABASE)

    def duckdb(self) -> duckdb.DuckDBPyConnection:
        """Its peer's own file, read by as many threads as ours has: one."""
        connection = duckdb.connect(str(self._duck), read_only=True)
        connection.execute("SET threads = 1")
        return connection

    def tenths(self) -> list[Tenth]:
        """What making the base took."""
        return msgspec.json.decode(self._done.read_bytes(), type=list[Tenth])

    def sizes(self) -> tuple[int, int]:
        """The bytes of our files and of the plain rows'."""
        return sum(path.stat().st_size for path in _files(self.folder)), self._raw.stat().st_size

    def copy_before_last_tenth(self, folder: Path) -> Path:
        """Copy the files as they were before the last tenth into a folder; give the database's path."""
        return _copy(self._before_last_tenth, folder)

    @property
    def _done(self) -> Path:
        return self.folder / "done.json"

    @property
    def _before_last_tenth(self) -> Path:
        return self.folder / "before-last-tenth"

    @property
    def _raw(self) -> Path:
        return self.folder / "raw.db"

    @property
    def _duck(self) -> Path:
        return self.folder / "events.duckdb"

    def _fill(self) -> list[Tenth]:
        """Apply and append in turn, batch by batch; and have the figures asked for after each tenth."""
        tenths = [Tenth(0, 0.0, 0.0, 0.0) for _ in range(TENTHS)]
        total, done = self.size.events, 0
        with closing(self.tracker()) as tracker, closing(_plain(self._raw)) as plain:
            for batch in batches_of(self._noted(), self.size):
                tenth = tenths[min(TENTHS - 1, done * TENTHS // total)]
                if tenth is tenths[-1] and not tenth.events:
                    tracker.close()  # for a moment: nobody may write what is copied
                    _copy(self.folder, self._before_last_tenth)
                tenth.events += len(batch)
                tenth.applied += seconds_of(partial(tracker.storage.apply, Batch(entries=batch)))
                tenth.appended += seconds_of(partial(_append, plain, batch))
                done += len(batch)
                if done * TENTHS // total > tenths.index(tenth):
                    tenth.rolled_up += seconds_of(lambda: tracker.statistics.summary(FIRST_DAY, self.life.until))
        return tenths

    def _noted(self) -> Iterator[Day]:
        """Every day in the order of time; on the way its events go into the files that DuckDB loads."""
        with (self.folder / "views.csv").open("w") as views, (self.folder / "orders.csv").open("w") as orders:
            write_view, write_order = csv.writer(views).writerow, csv.writer(orders).writerow
            for day, steps in self.life.days():
                for step in steps:
                    (write_view if type(step) is View else write_order)((day, *step))
                yield day, steps

    def _load_duckdb(self) -> None:
        with closing(duckdb.connect(str(self._duck))) as connection:
            for table, types in _TYPES.items():
                path = self.folder / f"{table}.csv"
                connection.execute(
                    f"CREATE TABLE {table} AS SELECT * FROM read_csv('{path}', header = false, columns = {types})"
                )
                path.unlink()


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.glob(f"{_DATABASE}*") if path.is_file()]


def _copy(source: Path, folder: Path) -> Path:
    """Copy the database's files, which nobody writes, onto the disk; give the copy's path."""
    folder.mkdir(exist_ok=True)
    for path in _files(source):
        with path.open("rb") as file, (folder / path.name).open("wb") as copied:
            shutil.copyfileobj(file, copied, 1 << 20)
            os.fsync(copied.fileno())  # else whoever syncs the copy first waits for all of it
    return folder / _DATABASE


def batches_of(days: Iterable[Day], size: Size) -> Iterator[list[Entry]]:
    """Give what happened on days in the batches in which a base of some size takes it."""
    ids = random.Random(1)
    entries = (
        Entry(_ORIGIN, event_of(step, day.toordinal()), ids.getrandbits(63))
        for day, steps in days
        for step in steps
    )
    while batch := list(islice(entries, min(_BATCH, size.events // (2 * TENTHS)))):
        yield batch


def event_of(step: View | Order, day: int) -> Event:
    """Make the event that a step is; `day` is the ordinal of its local day."""
    key, moment = alias(step.visitor), step.time_us
    if isinstance(step, View):
        return PageView(key, moment, moment, day, "web", step.path, None, step.category)
    item = Item(step.sku, step.sku, step.category, Decimal(step.price), step.quantity)
    return Purchase(key, moment, moment, day, "web", step.order_id, "EUR", (item,))


def _plain(path: Path) -> sqlite3.Connection:
    """The plain rows' file, as safe as ours."""
    sql = sqlite3.connect(path, isolation_level=None)
    sql.execute("PRAGMA journal_mode = WAL")
    sql.execute("PRAGMA synchronous = NORMAL")
    sql.execute(_RAW)
    return sql


def _append(sql: sqlite3.Connection, batch: Sequence[Entry]) -> None:
    """The least that keeps events: rows at the end of one table, many a statement, in one transaction."""
    rows = [
        (event.key, event.time_us, entry.id, event.day, SERVICE, event.channel, kind_of(event), body_of(event))
        for entry in batch
        for event in (entry.event,)
    ]
    sql.execute("BEGIN")
    insert_rows(sql, "raw", rows)
    sql.execute("COMMIT")


def seconds_of(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun
