"""The PostgreSQL storage's outbox: campaigns, and a row for each message to each visitor.

A message is judged and marked in one transaction, in which the visitor's STOP waits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from alias_middleware.errors import StorageUnavailable
from alias_middleware.storage.keyring import Keyring
from alias_middleware.storage.outbox import (
    PLANNED,
    WAITING,
    CampaignId,
    Dispatch,
    Evidence,
    Judge,
    Outbox,
    Ruling,
    Standing,
    State,
    StoredCampaign,
    StrayMessage,
    followed_by,
)
from alias_middleware.storage.postgresql import evidence, locks
from alias_middleware.storage.postgresql.planning import alone
from alias_middleware.storage.postgresql.pool import Pool

_SECONDS = 10.0
_PAGE_SECONDS = 60.0

_CAMPAIGNS = """
    SELECT service, namespace, name, standing, plan, created_us FROM campaigns
    WHERE service = %s AND name = coalesce(%s, name) ORDER BY created_us, name
"""
_SAVE = f"""
    INSERT INTO campaigns VALUES (%s, %s, %s, %s, %s, %s)
    ON CONFLICT (service, name) DO UPDATE SET standing = excluded.standing, plan = excluded.plan
    WHERE campaigns.standing IN {PLANNED}
"""
_TURN = """
    UPDATE campaigns SET standing = %s
    WHERE service = %s AND name = %s AND standing = ANY(%s) AND plan = coalesce(%s::bytea, plan)
"""
_NOTE = """
    INSERT INTO contact_notes VALUES (%s, %s, %s, %s)
    ON CONFLICT (service, what) DO UPDATE SET time_us = excluded.time_us, how = excluded.how
"""
_NOTED = "SELECT how FROM contact_notes WHERE service = %s AND what = %s"
_KEEP_STRAY = "INSERT INTO stray_messages VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"
_STRAYS = """
    SELECT id, time_us, short_code, text FROM stray_messages WHERE service = %s
    ORDER BY time_us DESC, id LIMIT %s
"""
_ENQUEUE = """
    INSERT INTO dispatches (namespace, key, service, campaign, state, reason, until_us, time_us, message_id)
    SELECT %s, key, %s, %s, 'queued', '', 0, %s, '' FROM unnest(%s::text[]) AS asked (key)
    ON CONFLICT DO NOTHING RETURNING key
"""
_HERE = "SELECT key FROM visitors WHERE namespace = %s AND key = ANY(%s)"
_DUE = """
    SELECT key FROM dispatches
    WHERE service = %s AND campaign = %s AND state IN ('queued', 'held') AND until_us <= %s
    ORDER BY until_us, key LIMIT %s
"""
_WAITS = """
    SELECT 1 FROM dispatches
    WHERE namespace = %s AND key = %s AND service = %s AND campaign = %s AND state = ANY(%s) FOR UPDATE
"""
_MARK = """
    UPDATE dispatches SET state = %s, reason = %s, until_us = %s, time_us = %s, message_id = %s, claimed_us = %s
    WHERE namespace = %s AND key = %s AND service = %s AND campaign = %s
"""
_SETTLE = """
    UPDATE dispatches SET state = %s, reason = %s, time_us = %s
    WHERE message_id = %s AND message_id <> '' AND state = ANY(%s)
"""
_RELEASE = """
    UPDATE dispatches SET state = 'queued', reason = '', until_us = 0, time_us = %s, message_id = '',
        claimed_us = NULL
    WHERE message_id = %s AND message_id <> '' AND state = 'sending'
"""
_GIVE_UP = """
    UPDATE dispatches SET state = 'uncertain', time_us = %s
    WHERE service = %s AND campaign = %s AND state = 'sending'
"""
_STOP = """
    UPDATE dispatches SET state = %s, reason = %s, time_us = %s
    WHERE service = %s AND campaign = %s AND state IN ('queued', 'held')
"""
_TALLY = """
    SELECT state, reason, sum(number)::bigint FROM (
        SELECT state, reason, count(*) AS number FROM dispatches
        WHERE service = %(service)s AND campaign = %(name)s GROUP BY state, reason
        UNION ALL SELECT state, reason, number FROM erased_dispatches
        WHERE service = %(service)s AND campaign = %(name)s
    ) counted GROUP BY state, reason
"""
_PAGE = """
    SELECT campaign, key, state, reason, until_us, time_us, message_id, claimed_us FROM dispatches
    WHERE service = %s AND campaign = %s AND state = %s AND key > %s ORDER BY key LIMIT %s
"""


class PostgreSQLOutbox(Outbox):
    """Campaigns and their messages beside the history they are judged on."""

    def __init__(self, pool: Pool, keyring: Keyring) -> None:
        """Use the storage's connections, and the keys under which suppressions are kept."""
        self._pool = pool
        self._keyring = keyring

    def save(self, campaign: StoredCampaign) -> bool:
        """Keep a campaign."""
        return self._changed(_SAVE, *campaign.id, campaign.standing, campaign.plan, campaign.created_us) == 1

    def find(self, service: str, name: str) -> StoredCampaign | None:
        """Give a campaign."""
        found = self._campaigns(service, name)
        return found[0] if found else None

    def campaigns(self, service: str) -> list[StoredCampaign]:
        """Give a service's campaigns."""
        return self._campaigns(service, None)

    def _campaigns(self, service: str, name: str | None) -> list[StoredCampaign]:
        rows = self._rows(_CAMPAIGNS, service, name)
        return [StoredCampaign(CampaignId(*row[:3]), *row[3:]) for row in rows]

    def turn(
        self, campaign: CampaignId, standing: Standing, *, during: Sequence[Standing], plan: bytes | None = None
    ) -> bool:
        """Change what a campaign is doing."""
        return self._changed(_TURN, standing, campaign.service, campaign.name, list(during), plan) == 1

    @contextmanager
    def running(self, campaign: CampaignId) -> Iterator[None]:
        """Hold a lock of the server over a connection of its own, which goes with the process.

        Where the connection is lost another may run the campaign: no message is claimed twice all the same.
        """
        with self._pool.locked(locks.RUN, (campaign.service, campaign.name), _SECONDS) as is_ours:
            if not is_ours:
                raise StorageUnavailable("another process runs this campaign", reason="locked")
            yield

    def select(self, campaign: CampaignId, time_us: int) -> None:
        """Note that the audience is fixed."""
        self._changed(_NOTE, campaign.service, f"selected:{campaign.name}", time_us, "")

    def is_selected(self, campaign: CampaignId) -> bool:
        """Tell whether the audience is fixed."""
        return self._noted(campaign.service, f"selected:{campaign.name}") is not None

    def declare_optouts(self, service: str, time_us: int, how: str) -> None:
        """Note how the earlier opt-outs are known."""
        self._changed(_NOTE, service, "optouts", time_us, how)

    def optouts_declared(self, service: str) -> str | None:
        """Tell how the earlier opt-outs are known."""
        return self._noted(service, "optouts")

    def _noted(self, service: str, what: str) -> str | None:
        rows = self._rows(_NOTED, service, what)
        return rows[0][0] if rows else None

    def keep_stray(self, service: str, message: StrayMessage) -> bool:
        """Keep a message that gives no visitor."""
        row = (service, message.id, message.time_us, message.short_code, message.text.encode())
        return self._changed(_KEEP_STRAY, *row) == 1

    def strays(self, service: str, limit: int) -> list[StrayMessage]:
        """Give the latest messages that gave no visitor."""
        rows = self._rows(_STRAYS, service, limit)
        return [StrayMessage(id_, time_us, code, text.decode()) for id_, time_us, code, text in rows]

    def evidence(self, namespace: str, after: str, limit: int) -> list[Evidence]:
        """Give what is known of a page of visitors, as of one moment."""
        with self._pool.connection(_PAGE_SECONDS) as connection:
            return evidence.page(connection, self._keyring, namespace, after, limit)

    def evidence_of(self, namespace: str, key: str) -> Evidence:
        """Give what is known of one visitor."""
        with self._pool.connection(_SECONDS) as connection:
            return evidence.of_one(connection, self._keyring, namespace, key)

    def enqueue(self, campaign: CampaignId, keys: Sequence[str], time_us: int) -> int:
        """Queue messages to those who are there, while nobody is erased, and count the new ones.

        What is returned is counted: Citus says of an INSERT ... SELECT how many rows were asked for.
        """
        service, namespace, name = campaign
        with self._pool.connection(_PAGE_SECONDS) as connection, alone(connection):
            here = [key for (key,) in connection.execute(_HERE, (namespace, list(keys))).fetchall()]
            return len(connection.execute(_ENQUEUE, (namespace, service, name, time_us, here)).fetchall())

    def due(self, campaign: CampaignId, time_us: int, limit: int) -> list[str]:
        """Give whose messages wait no longer."""
        return [key for (key,) in self._rows(_DUE, campaign.service, campaign.name, time_us, limit)]

    def claim(self, campaign: CampaignId, key: str, message_id: str, time_us: int, judge: Judge) -> Ruling | None:
        """Judge a waiting message and mark it, in one transaction of two round trips."""
        person = campaign.namespace, key
        place = (*person, campaign.service, campaign.name)
        with self._pool.connection(_SECONDS) as connection:
            with connection.pipeline():
                connection.execute("BEGIN")
                connection.execute(locks.VISITOR.encode(), person)
                waits = connection.execute(_WAITS, (*place, list(WAITING)))
                asked = evidence.ask(connection, self._keyring, campaign.namespace, [key])
            if waits.fetchone() is None:
                connection.execute("ROLLBACK")
                return None
            ruling = judge(asked.answer()[0])
            is_sent = ruling.state == "sending"
            marked = (*ruling[:3], time_us, message_id if is_sent else "")
            with connection.pipeline():
                connection.execute(_MARK, (*marked, time_us if is_sent and ruling.counts else None, *place))
                connection.execute("COMMIT")
        return ruling

    def settle(self, message_id: str, state: State, time_us: int, *, reason: str = "") -> bool:
        """Note what became of a message."""
        return self._changed(_SETTLE, state, reason, time_us, message_id, list(followed_by(state))) == 1

    def release(self, message_id: str, time_us: int) -> bool:
        """Queue a message again."""
        return self._changed(_RELEASE, time_us, message_id) == 1

    def give_up(self, campaign: CampaignId, time_us: int) -> int:
        """Mark what a run left behind as uncertain."""
        return self._changed(_GIVE_UP, time_us, campaign.service, campaign.name)

    def stop(self, campaign: CampaignId, state: State, reason: str, time_us: int) -> int:
        """Give every waiting message an end."""
        return self._changed(_STOP, state, reason, time_us, campaign.service, campaign.name)

    def tally(self, campaign: CampaignId) -> dict[tuple[State, str], int]:
        """Count a campaign's messages."""
        asked = {"service": campaign.service, "name": campaign.name}
        with self._pool.connection(_PAGE_SECONDS) as connection:
            rows = connection.execute(_TALLY, asked).fetchall()
        return {(state, reason): number for state, reason, number in rows}

    def dispatches(self, campaign: CampaignId, state: State, after: str, limit: int) -> list[Dispatch]:
        """Give a page of messages in a state."""
        rows = self._rows(_PAGE, campaign.service, campaign.name, state, after, limit)
        return [Dispatch(*row) for row in rows]

    def _changed(self, statement: str, *values: object) -> int:
        """Run a statement that is a transaction of its own, and give how many rows it changed."""
        with self._pool.connection(_SECONDS) as connection:
            return connection.execute(statement.encode(), values).rowcount

    def _rows(self, query: str, *values: object) -> list[Any]:
        with self._pool.connection(_SECONDS) as connection:
            return connection.execute(query.encode(), values, binary=True).fetchall()
