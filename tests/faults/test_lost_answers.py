"""PostgreSQL dies exactly while a COMMIT, or its answer, is on its way: what was said takes effect once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from msgspec.structs import replace

from alias_middleware.errors import StorageUnavailable
from alias_middleware.storage.base import Batch, LateChange, Span
from alias_middleware.storage.conversions import Conversion
from alias_middleware.storage.postgresql import PostgreSQLStorage
from alias_middleware.testing._contract_profiles import op, preferences
from alias_middleware.testing.histories import KEY, NEWS, Teller, change
from tests.support.lossy import LossyWay, lossy_way
from tests.support.postgresql import KEY as SECRET
from tests.support.postgresql import PostgreSQLServer, debian_programs, postgresql_server, schema_of
from tests.support.sms import Shop
from tests.support.waiting import PATIENCE

SPACE = NEWS.namespace
NOON = "2026-03-02T12:00"
PEOPLE = [f"{number:012}" for number in range(1, 7)]


class Road(NamedTuple):
    """A server, the way to it on which something is lost, and a URL that takes this way."""

    server: PostgreSQLServer
    way: LossyWay
    url: str

    def storage(self) -> PostgreSQLStorage:
        return PostgreSQLStorage(self.url, secret_keys=[SECRET])

    def mend(self) -> None:
        """Start the server again, that was killed as the word was lost."""
        assert self.way.struck.wait(PATIENCE)
        self.server.start()


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQLServer]:
    """A server that nobody else uses."""
    with postgresql_server(debian_programs()) as server:
        yield server


@pytest.fixture
def road(server: PostgreSQLServer, tmp_path: Path) -> Iterator[Road]:
    """A way to tables of this test's own, which are there."""
    url = server.url(schema=schema_of(tmp_path))
    ready = PostgreSQLStorage(url, secret_keys=[SECRET])
    ready.migrate()
    ready.close()
    with lossy_way(server.port, server.kill) as way:
        yield Road(server, way, url.replace(str(server.port), str(way.port)))


def lose_commit(road: Road, *, answer: bool) -> None:
    """Lose the next COMMIT before it arrives, or its answer when it is done."""
    road.way.lose_answer(b"COMMIT\0") if answer else road.way.lose(b"COMMIT\0")


answers = pytest.mark.parametrize(
    "answer", [pytest.param(False, id="COMMIT is lost"), pytest.param(True, id="its answer is lost")]
)


@answers
def test_a_batch(road: Road, answer: bool) -> None:
    """Events, late changes and counters: the writer learns from the positions whether to send it again."""
    storage = road.storage()
    tell = Teller()
    late = LateChange(SPACE, change(op("increment", "f", 1), at=NOON), 1)
    batch = Batch(
        entries=[tell.view(NOON), tell.purchase(NOON, "A")],
        changes=[late],
        spans={"s": Span(0, 9)},
        counts={"seen": 2},
    )
    lose_commit(road, answer=answer)
    with pytest.raises(StorageUnavailable):
        storage.apply(batch)
    road.mend()
    assert storage.ledger().positions == ({"s": 9} if answer else {})
    if answer:
        with pytest.raises(StorageUnavailable) as stale:
            storage.apply(batch)
        assert stale.value.reason == "stale_position"
    else:
        storage.apply(batch)
    assert storage.ledger() == ({"seen": 2, "stored": 2}, {"s": 9})
    assert len(storage.history(SPACE, KEY, 9)) == 2
    assert preferences(storage) == {"f": 1}
    assert storage.verify(1, 10**6) == []
    storage.close()


@answers
def test_a_change_of_preferences(road: Road, answer: bool) -> None:
    """It comes again by the spool, as it must, and is known by what it is."""
    storage = road.storage()
    said = change(op("increment", "f", 1), at=NOON)
    lose_commit(road, answer=answer)
    with pytest.raises(StorageUnavailable):
        storage.change_profile(SPACE, said, timeout=5)
    road.mend()
    storage.apply(Batch(changes=[LateChange(SPACE, said, 1)]))
    assert preferences(storage) == {"f": 1}
    storage.close()


@answers
def test_a_request_and_its_writer(road: Road, tmp_path: Path, answer: bool) -> None:
    """The same through the whole house: a page's change and event, with the writer's batch struck as well."""
    shop = Shop(road.url, tmp_path)
    alias = PEOPLE[0]
    lose_commit(road, answer=answer)
    with shop.tracker.visitor(alias) as visitor:
        visitor.profile.increment("pages")
        visitor.track("look")
    road.mend()
    road.way.lose_answer(b"COMMIT\0")
    while not road.way.struck.is_set():
        shop.tracker.flush(1)
    road.mend()
    assert shop.tracker.flush(PATIENCE)
    export = shop.tracker.privacy.export(alias)
    assert export["preferences"] == {"pages": 1}
    assert len(export["history"]) == 1
    counters = shop.tracker.counters()
    assert (counters["seen"], counters["stored"], counters["deduplicated"]) == (1, 1, 0)
    shop.tracker.close()


@pytest.mark.parametrize(
    ("word", "answer", "uncertain"),
    [
        pytest.param(b"COMMIT\0", True, 1, id="marked as being sent, and nobody was told"),
        pytest.param(b"UPDATE 1\0", True, 0, id="marked as sent, and nobody was told"),
        pytest.param(b"\0\0\0\x04sent", False, 1, id="sent, and never marked so"),
    ],
)
def test_a_message_of_a_campaign(road: Road, tmp_path: Path, word: bytes, answer: bool, uncertain: int) -> None:
    """Nobody gets two; of whom it is not known whether he got one, it is told."""
    shop = Shop(road.url, tmp_path)
    shop.tracker.contact.declare_no_prior_optouts()
    for alias in PEOPLE:
        shop.tracker.receive_sms(alias, "36124", "MENU", at=shop.now, message_id=alias)
    shop.buy(*PEOPLE)
    campaign = shop.campaign()

    def strike_at_the_third(_: object) -> None:
        if len(shop.gateway.sent) == 2:
            road.way.lose_answer(word) if answer else road.way.lose(word)

    shop.gateway.broken = strike_at_the_third
    with pytest.raises(StorageUnavailable):
        campaign.run(shop.gateway)
    road.mend()
    shop.gateway.broken = lambda message: None
    progress = campaign.run(shop.gateway)
    got = shop.gateway.receivers()
    assert len(got) == len(set(got))
    assert progress.standing == "finished"
    assert progress.states == ({"sent": 6 - uncertain, "uncertain": uncertain} if uncertain else {"sent": 6})
    assert len(set(PEOPLE) - set(got)) <= uncertain
    shop.tracker.close()


def spent_unheard(storage: PostgreSQLStorage, road: Road, *, answer: bool) -> Conversion:
    """Spend a conversion of a quota of one without learning whether it was."""
    conversion = Conversion(id=7, scope="s", month="2026-03", time_us=1, requester="R", reason="a draw")
    lose_commit(road, answer=answer)
    with pytest.raises(StorageUnavailable):
        storage.conversions().spend(conversion, 1)
    road.mend()
    return conversion


@answers
def test_a_conversion(road: Road, answer: bool) -> None:
    """Taken at most once: who was not told, and gives it back, has the quota as it was."""
    storage = road.storage()
    spent = spent_unheard(storage, road, answer=answer)
    assert len(storage.conversions().conversions("s", "2026-03")) == answer
    storage.conversions().give_back(7)
    assert storage.conversions().spend(replace(spent, id=8), 1) == 0
    storage.close()


@answers
def test_a_conversion_is_asked_for_again(road: Road, answer: bool) -> None:
    """By its id the server knows what it has done: of a quota of one that is one, whichever word was lost."""
    storage = road.storage()
    spent = spent_unheard(storage, road, answer=answer)
    assert storage.conversions().spend(spent, 1) == 0
    assert storage.conversions().spend(replace(spent, id=8), 1) is None
    assert len(storage.conversions().conversions("s", "2026-03")) == 1
    storage.close()
