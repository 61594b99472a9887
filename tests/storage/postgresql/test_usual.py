"""The short way into the history leaves in PostgreSQL what the general way would."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from alias_middleware.habits import decode_habits
from alias_middleware.storage import folding
from alias_middleware.storage.base import Batch
from alias_middleware.storage.chronicle import decode_chronicle
from alias_middleware.storage.postgresql import PostgreSQLStorage
from alias_middleware.testing.histories import Teller
from tests.support.postgresql import KEY, PostgreSQLServer, schema_of
from tests.support.usual import batches, differing

_TABLES = ("events", "arrivals", "orders", "refunds", "counters", "category_sums")


def applied(server: PostgreSQLServer, schema: str, history: list[Batch]) -> dict[str, Any]:
    """What the tables hold after a history."""
    storage = PostgreSQLStorage(server.url(schema=schema), secret_keys=[KEY])
    for batch in history:
        storage.apply(batch)
    storage.close()
    held: dict[str, Any] = {table: sorted(server.sql(f"SELECT * FROM {schema}.{table}")) for table in _TABLES}
    held["days"] = sorted(server.sql(f"SELECT service, day FROM {schema}.changes"))
    rows = server.sql(f"SELECT (namespace, key, not_before)::text, knowledge, habits FROM {schema}.visitors")
    held["knowledge"] = {who: decode_chronicle(knowledge) for who, knowledge, _ in rows}
    held["habits"] = {who: msgspec.to_builtins(decode_habits(habits)) for who, _, habits in rows}
    return held


@pytest.mark.parametrize("seed", range(8))
def test_both_ways_give_the_same(
    seed: int, tmp_path: Path, debian_postgresql: PostgreSQLServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows, knowledge, habits, counters and days to roll up anew, for events of every kind."""
    history = batches(seed)
    schema = schema_of(tmp_path)
    assert differing(monkeypatch, lambda way: applied(debian_postgresql, f"{schema}_{way}", history)) == []


def test_what_is_in_order_goes_the_short_way(
    tmp_path: Path, debian_postgresql: PostgreSQLServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of newcomers and of known visitors, orders among their pages too."""
    tell = Teller()

    def general(people: list[object], *others: object) -> None:
        assert people == []

    monkeypatch.setattr(folding, "_fold_streams", general)
    storage = PostgreSQLStorage(debian_postgresql.url(schema=schema_of(tmp_path)), secret_keys=[KEY])
    for entries in (
        [tell.view("2026-03-02T12:00"), tell.track("2026-03-02T12:01", "cart", category="music")],
        [tell.view("2026-03-02T12:02"), tell.purchase("2026-03-02T12:03", "A"), tell.view("2026-03-02T12:04")],
        [tell.message("2026-03-02T13:00")],
    ):
        assert storage.apply(Batch(entries=entries)).stored == len(entries)
    storage.close()
