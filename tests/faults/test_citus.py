"""A site on a Citus cluster whose machines die one after the other: it answers in time, and all adds up."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from alias_middleware.storage.postgresql import PostgreSQLStorage
from tests.faults.test_postgresql import BUDGET, KEYS, OVER, suffer
from tests.support.citus import Cluster
from tests.support.postgresql import CITUS_IS_THERE, CITUS_PG_CONFIG, CITUS_URL
from tests.support.pulse import percentile

if not CITUS_IS_THERE:
    pytest.skip(f"neither {CITUS_URL} nor {CITUS_PG_CONFIG} is set", allow_module_level=True)

AWAY = 1.0
"""How long a machine is gone, seconds."""


@contextmanager
def machines_killed(cluster: Cluster) -> Iterator[None]:
    """Every process of a worker dies at once, and it recovers from its log; each of them twice."""
    for worker in (*cluster.workers, *cluster.workers):
        worker.kill()
        time.sleep(AWAY)
        worker.start()
    yield


@pytest.mark.parametrize("edge", ["serve_asgi", "serve_wsgi"])
def test_the_site_goes_on(edge: str, citus: Cluster, tmp_path: Path) -> None:
    """Every page is answered in time, whoever's machine is gone; what was acknowledged is stored once."""
    if not citus.workers:
        pytest.skip(f"the cluster of {CITUS_URL} is not ours to kill")
    home = f"killed_{edge}"
    citus.spread(home)
    url = citus.url(schema=home)
    found, took, counters = suffer(machines_killed(citus), url, tmp_path, edge)
    with closing(PostgreSQLStorage(url, secret_keys=[KEYS[0].encode()])) as storage:
        assert storage.verify(0, 2**20) == []
    citus.drop(home)
    assert (found.lost, found.doubled, found.invented, found.unanswered, found.dropped) == (0, 0, 0, 0, 0), found
    assert percentile(took, 0.99) <= BUDGET + OVER + found.late, found
    assert counters["storage_failures"] >= 1
    assert counters["breaker_opened"] >= 1
