"""What only a Citus cluster can show: which machines are asked, how tables are spread, and who waits for whom."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from alias_middleware import Visitor
from alias_middleware.copying import Copy
from alias_middleware.statistics.summary import Totals
from alias_middleware.storage.base import Batch
from alias_middleware.storage.postgresql import PostgreSQLStorage, schema
from alias_middleware.storage.postgresql.citus import DISTRIBUTED, REFERENCE
from alias_middleware.storage.sqlite import SQLiteStorage
from alias_middleware.testing._contract_case import counted
from alias_middleware.testing._contract_moving import require_equal, tell
from alias_middleware.testing.histories import NEWS, Teller, local_day
from tests.support.citus import Cluster
from tests.support.postgresql import CITUS_IS_THERE, CITUS_PG_CONFIG, CITUS_URL, KEY, schema_of
from tests.support.site import Site

if not CITUS_IS_THERE:
    pytest.skip(f"neither {CITUS_URL} nor {CITUS_PG_CONFIG} is set", allow_module_level=True)

NOON = "2026-03-02T12:00"
DAY = local_day(NOON)
COUNTING = "-c%20citus.enable_stat_counters=on"
_EXECUTED = """
    SELECT sum(query_execution_single_shard)::bigint, sum(query_execution_multi_shard)::bigint
    FROM citus_stat_counters
"""
_LOCAL = "SELECT c.relname, pg_relation_size(c.oid) FROM pg_class c WHERE c.relnamespace = %s::regnamespace"
_SHARDS = "SELECT shard_name, nodeport FROM citus_shards WHERE table_name = %s::regclass ORDER BY nodeport DESC"


@pytest.fixture
def home(citus: Cluster, tmp_path: Path) -> Iterator[str]:
    """A schema of the test's own, deleted after it."""
    yield schema_of(tmp_path)
    citus.drop(schema_of(tmp_path))


@pytest.fixture
def spread(citus: Cluster, home: str) -> Iterator[PostgreSQLStorage]:
    """A storage with its tables spread over the machines."""
    citus.spread(home)
    with closing(opened(citus, home)) as storage:
        yield storage


def opened(cluster: Cluster, home: str, **words: str) -> PostgreSQLStorage:
    return PostgreSQLStorage(cluster.url(schema=home, **words), secret_keys=(KEY,))


def executed(cluster: Cluster, work: Callable[[], Any]) -> tuple[int, int]:
    """Do something, and give how many statements went to one shard meanwhile, and how many to several."""
    ((one, several),) = cluster.sql(_EXECUTED)
    work()
    ((one_after, several_after),) = cluster.sql(_EXECUTED)
    return one_after - one, several_after - several


def totals(storage: Any) -> Totals:
    return counted(storage, None, DAY - 60, DAY + 60, namespace=NEWS.namespace)


def changing(visitor: Visitor, request: Any) -> Any:
    """A page that asks all that a page may ask of the visitor, and changes his profile."""
    assert visitor.profile.get("font") is None
    assert visitor.profile.page_views >= 0
    visitor.history(5)
    visitor.profile.increment("pages")
    return 200, [("Content-Type", "text/html")], [b"hello"]


@pytest.fixture
def site(citus: Cluster, home: str, tmp_path: Path) -> Iterator[Site]:
    """A site on the cluster, whose statements are counted."""
    citus.spread(home)
    site = Site("wsgi", "memory", tmp_path)
    site.settings |= {
        "storage": citus.url(schema=home, options=COUNTING),
        "secret_keys": [KEY.decode()],
        "storage_timeout": 5,
    }
    site.handler = changing
    yield site
    site.close()


def test_a_request_asks_one_shard(citus: Cluster, site: Site) -> None:
    """The first and a later one, of a stranger and of one whom the history knows: no statement goes to several."""
    site.get()
    for _ in range(7):  # the driver and Citus plan anew until a statement has come often enough
        one, several = executed(citus, site.get)
        assert (one > 0, several) == (True, 0)
    site.flush()
    assert executed(citus, site.get)[1] == 0
    assert executed(citus, lambda: site.get(alias="000000000077"))[1] == 0
    assert site.stored()["preferences"]["pages"] == 9


def test_figures_are_asked_of_all_machines(citus: Cluster, site: Site) -> None:
    """What is rolled up is on every shard; once it is kept they are asked for the number of erasures alone."""
    for number in range(20):
        site.get(alias=f"{number:012}")
    site.flush()
    _, several = executed(citus, site.summary)
    assert several > 1
    assert site.summary().page_views == 20
    assert site.summary().visitors == 20
    assert executed(citus, site.summary)[1] == 1


def test_a_storage_that_is_spread_later(citus: Cluster, home: str) -> None:
    """What was recorded before stays what it was, and nothing of it is left where no erasure would reach it."""
    with closing(opened(citus, home)) as storage:
        tell(storage, 3)
        before = totals(storage), storage.ledger()
        assert storage.migrate(distributed=True) == 0
        assert (totals(storage), storage.ledger()) == before
        assert storage.verify(0, 2**20) == []
    local = dict(citus.sql(_LOCAL, home))
    assert {table: local[table] for table in (*DISTRIBUTED, *REFERENCE) if local[table]} == {}


def test_tables_of_a_later_version_are_spread_too(
    citus: Cluster, home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever spread the tables once need not think of it again."""
    later = ("CREATE TABLE later (k integer PRIMARY KEY)",)
    citus.spread(home)
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, later))
    monkeypatch.setattr("alias_middleware.storage.postgresql.citus.REFERENCE", ("later",))
    with closing(opened(citus, home)) as storage:
        storage.ledger()  # makes what is missing
    assert citus.sql(_SHARDS, f"{home}.later")


def test_everything_moves_from_a_file(spread: PostgreSQLStorage, tmp_path: Path) -> None:
    """`copy sqlite -> citus`: every row and figure, what is changed meanwhile too, and the seal comes off."""
    with closing(SQLiteStorage(f"sqlite:///{tmp_path}/alias.db", secret_keys=(KEY,))) as source:
        tell(source, 1)
        copying = Copy(source, spread, rows=50)
        copying.begin()
        assert copying.run()
        tell(source, 101, ids="later")
        assert copying.run()
        require_equal(source, spread)
        assert not copying.run()
        copying.open_target()
        tell(spread, 201, ids="here")


def test_what_a_machine_holds_back_is_waited_for(citus: Cluster, home: str, spread: PostgreSQLStorage) -> None:
    """Where an earlier transaction has not ended on every machine, batches and roll-ups wait for it."""
    teller = Teller()
    spread.apply(Batch(entries=[teller.view(NOON)]))
    shard, port = citus.sql(_SHARDS, f"{home}.moves")[0]
    with psycopg.connect(citus.url(), port=port, autocommit=True) as machine:
        machine.execute("SET citus.enable_manual_changes_to_shards = on")
        machine.execute("BEGIN")
        machine.execute(f"UPDATE {shard} SET value = value WHERE name = 'turn'".encode())
        machine.execute("PREPARE TRANSACTION 'held back'")
        later = Batch(entries=[teller.view("2026-03-02T12:10")])
        waiting = [threading.Thread(target=work) for work in (lambda: spread.apply(later), lambda: totals(spread))]
        try:
            for each in waiting:
                each.start()
                each.join(1)
                assert each.is_alive()
        finally:
            machine.execute("COMMIT PREPARED 'held back'")
        for each in waiting:
            each.join(30)
            assert not each.is_alive()
    assert totals(spread).page_views == 2
