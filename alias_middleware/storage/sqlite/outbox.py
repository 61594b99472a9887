"""The SQLite storage's outbox: campaigns and their messages in the history file, where the suppressions are.

A message is judged and marked in one transaction, which sees the preferences file as of the same moment.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

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
from alias_middleware.storage.sqlite import evidence
from alias_middleware.storage.sqlite.evidence import SuppressionsOf
from alias_middleware.storage.sqlite.files import Files
from alias_middleware.storage.sqlite.transactions import locked, reading, writing

_SAVE = f"""
    INSERT INTO campaigns VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (service, name) DO UPDATE SET standing = excluded.standing, plan = excluded.plan
    WHERE campaigns.standing IN {PLANNED}
"""
_TURN = "UPDATE campaigns SET standing = ? WHERE service = ? AND name = ? AND plan = ifnull(?, plan)"
_ENQUEUE = """
    INSERT OR IGNORE INTO dispatches (service, campaign, namespace, key, state, time_us)
    SELECT ?, ?, namespace, key, 'queued', ? FROM visitors WHERE namespace = ? AND key = ?
"""


class SQLiteOutbox(Outbox):
    """Campaigns and their messages beside the history they are judged on."""

    def __init__(self, files: Files, suppressions_of: SuppressionsOf) -> None:
        """Use the storage's files; `suppressions_of(sql, namespace, keys)` reads visitors' suppressions."""
        self._files = files
        self._suppressions_of = suppressions_of

    def save(self, campaign: StoredCampaign) -> bool:
        """Keep a campaign."""
        with writing(self._files) as sql:
            row = (*campaign.id, campaign.standing, campaign.plan, campaign.created_us)
            return sql.execute(_SAVE, row).rowcount == 1

    def find(self, service: str, name: str) -> StoredCampaign | None:
        """Give a campaign."""
        found = self._campaigns("service = ? AND name = ?", service, name)
        return found[0] if found else None

    def campaigns(self, service: str) -> list[StoredCampaign]:
        """Give a service's campaigns."""
        return self._campaigns("service = ?", service)

    def _campaigns(self, condition: str, *asked: str) -> list[StoredCampaign]:
        with reading(self._files) as sql:
            rows = sql.execute(
                "SELECT service, namespace, name, standing, plan, created_us FROM campaigns "
                f"WHERE {condition} ORDER BY created_us, name",
                asked,
            ).fetchall()
        return [StoredCampaign(CampaignId(*row[:3]), *row[3:]) for row in rows]

    def turn(
        self, campaign: CampaignId, standing: Standing, *, during: Sequence[Standing], plan: bytes | None = None
    ) -> bool:
        """Change what a campaign is doing."""
        marks = ",".join("?" * len(during))
        with writing(self._files) as sql:
            asked = (standing, campaign.service, campaign.name, plan, *during)
            return sql.execute(f"{_TURN} AND standing IN ({marks})", asked).rowcount == 1

    @contextmanager
    def running(self, campaign: CampaignId) -> Iterator[None]:
        """Hold a lock on a file beside the database, which goes with the process."""
        digest = hashlib.sha256(f"{campaign.service}\0{campaign.name}".encode()).hexdigest()[:16]
        history = self._files.history
        with locked(history.with_name(f"{history.name}-campaign-{digest}")):
            yield

    def select(self, campaign: CampaignId, time_us: int) -> None:
        """Note that the audience is fixed."""
        self._note(campaign.service, f"selected:{campaign.name}", time_us, "")

    def is_selected(self, campaign: CampaignId) -> bool:
        """Tell whether the audience is fixed."""
        return self._noted(campaign.service, f"selected:{campaign.name}") is not None

    def declare_optouts(self, service: str, time_us: int, how: str) -> None:
        """Note how the earlier opt-outs are known."""
        self._note(service, "optouts", time_us, how)

    def optouts_declared(self, service: str) -> str | None:
        """Tell how the earlier opt-outs are known."""
        return self._noted(service, "optouts")

    def keep_stray(self, service: str, message: StrayMessage) -> bool:
        """Keep a message that gives no visitor."""
        row = (service, message.id, message.time_us, message.short_code, message.text)
        with writing(self._files) as sql:
            return sql.execute("INSERT OR IGNORE INTO stray_messages VALUES (?, ?, ?, ?, ?)", row).rowcount == 1

    def strays(self, service: str, limit: int) -> list[StrayMessage]:
        """Give the latest messages that gave no visitor."""
        query = (
            "SELECT id, time_us, short_code, text FROM stray_messages "
            "WHERE service = ? ORDER BY time_us DESC, id LIMIT ?"
        )
        with reading(self._files) as sql:
            return [StrayMessage(*row) for row in sql.execute(query, (service, limit))]

    def _note(self, service: str, what: str, time_us: int, how: str) -> None:
        with writing(self._files) as sql:
            sql.execute("INSERT OR REPLACE INTO contact_notes VALUES (?, ?, ?, ?)", (service, what, time_us, how))

    def _noted(self, service: str, what: str) -> str | None:
        with reading(self._files) as sql:
            query = "SELECT how FROM contact_notes WHERE service = ? AND what = ?"
            row = sql.execute(query, (service, what)).fetchone()
            return None if row is None else str(row[0])

    def evidence(self, namespace: str, after: str, limit: int) -> list[Evidence]:
        """Give what is known of a page of visitors, as of one moment."""
        with reading(self._files) as sql:
            return evidence.page(sql, self._suppressions_of, namespace, after, limit)

    def evidence_of(self, namespace: str, key: str) -> Evidence:
        """Give what is known of one visitor."""
        with reading(self._files) as sql:
            return evidence.of_one(sql, self._suppressions_of, namespace, key)

    def enqueue(self, campaign: CampaignId, keys: Sequence[str], time_us: int) -> int:
        """Queue messages to those who are there, in one transaction."""
        place = (campaign.service, campaign.name, time_us, campaign.namespace)
        with writing(self._files) as sql:
            return sum(sql.execute(_ENQUEUE, (*place, key)).rowcount for key in keys)

    def due(self, campaign: CampaignId, time_us: int, limit: int) -> list[str]:
        """Give whose messages wait no longer."""
        with reading(self._files) as sql:
            return [
                row[0]
                for row in sql.execute(
                    "SELECT key FROM dispatches WHERE service = ? AND campaign = ? "
                    f"AND state IN {WAITING} AND until_us <= ? ORDER BY until_us, key LIMIT ?",
                    (campaign.service, campaign.name, time_us, limit),
                )
            ]

    def claim(self, campaign: CampaignId, key: str, message_id: str, time_us: int, judge: Judge) -> Ruling | None:
        """Judge a waiting message and mark it, in one transaction."""
        mark = (campaign.service, campaign.name, campaign.namespace, key)
        with writing(self._files) as sql:
            waits = sql.execute(
                "SELECT 1 FROM dispatches WHERE service = ? AND campaign = ? AND namespace = ? AND key = ? "
                f"AND state IN {WAITING}",
                mark,
            ).fetchone()
            if waits is None:
                return None
            ruling = judge(evidence.of_one(sql, self._suppressions_of, campaign.namespace, key))
            is_sent = ruling.state == "sending"
            sql.execute(
                "UPDATE dispatches SET state = ?, reason = ?, until_us = ?, time_us = ?, message_id = ?, "
                "claimed_us = ? WHERE service = ? AND campaign = ? AND namespace = ? AND key = ?",
                (
                    ruling.state,
                    ruling.reason,
                    ruling.until_us,
                    time_us,
                    message_id if is_sent else "",
                    time_us if is_sent and ruling.counts else None,
                    *mark,
                ),
            )
            return ruling

    def settle(self, message_id: str, state: State, time_us: int, *, reason: str = "") -> bool:
        """Note what became of a message."""
        before = followed_by(state)
        if not message_id or not before:
            return False
        marks = ",".join("?" * len(before))
        with writing(self._files) as sql:
            changed = sql.execute(
                "UPDATE dispatches SET state = ?, reason = ?, time_us = ? "
                f"WHERE message_id = ? AND state IN ({marks})",
                (state, reason, time_us, message_id, *before),
            )
            return changed.rowcount == 1

    def release(self, message_id: str, time_us: int) -> bool:
        """Queue a message again."""
        with writing(self._files) as sql:
            changed = sql.execute(
                "UPDATE dispatches SET state = 'queued', reason = '', until_us = 0, time_us = ?, message_id = '', "
                "claimed_us = NULL WHERE message_id = ? AND message_id != '' AND state = 'sending'",
                (time_us, message_id),
            )
            return changed.rowcount == 1

    def give_up(self, campaign: CampaignId, time_us: int) -> int:
        """Mark what a run left behind as uncertain."""
        with writing(self._files) as sql:
            return sql.execute(
                "UPDATE dispatches SET state = 'uncertain', time_us = ? "
                "WHERE service = ? AND campaign = ? AND state = 'sending'",
                (time_us, campaign.service, campaign.name),
            ).rowcount

    def stop(self, campaign: CampaignId, state: State, reason: str, time_us: int) -> int:
        """Give every waiting message an end."""
        with writing(self._files) as sql:
            return sql.execute(
                "UPDATE dispatches SET state = ?, reason = ?, time_us = ? "
                f"WHERE service = ? AND campaign = ? AND state IN {WAITING}",
                (state, reason, time_us, campaign.service, campaign.name),
            ).rowcount

    def tally(self, campaign: CampaignId) -> dict[tuple[State, str], int]:
        """Count a campaign's messages."""
        with reading(self._files) as sql:
            rows = sql.execute(
                "SELECT state, reason, sum(number) FROM ("
                "SELECT state, reason, count(*) AS number FROM dispatches "
                "WHERE service = :service AND campaign = :name GROUP BY state, reason UNION ALL "
                "SELECT state, reason, number FROM erased_dispatches "
                "WHERE service = :service AND campaign = :name) GROUP BY state, reason",
                {"service": campaign.service, "name": campaign.name},
            ).fetchall()
        return {(state, reason): number for state, reason, number in rows}

    def dispatches(self, campaign: CampaignId, state: State, after: str, limit: int) -> list[Dispatch]:
        """Give a page of messages in a state."""
        with reading(self._files) as sql:
            rows = sql.execute(
                "SELECT campaign, key, state, reason, until_us, time_us, message_id, claimed_us FROM dispatches "
                "WHERE service = ? AND campaign = ? AND state = ? AND key > ? ORDER BY key LIMIT ?",
                (campaign.service, campaign.name, state, after, limit),
            ).fetchall()
        return [Dispatch(*row) for row in rows]


def erase_dispatches(sql: sqlite3.Connection, namespace: str, key: str) -> int:
    """Delete an erased visitor's messages, keep them counted, and give their number. What waited is cancelled."""
    sql.execute(
        "UPDATE dispatches SET state = 'cancelled', reason = 'erased' "
        f"WHERE namespace = ? AND key = ? AND state IN {WAITING}",
        (namespace, key),
    )
    sql.execute(
        "INSERT INTO erased_dispatches SELECT service, campaign, state, reason, count(*) FROM dispatches "
        "WHERE namespace = ? AND key = ? GROUP BY service, campaign, state, reason "
        "ON CONFLICT (service, campaign, state, reason) DO UPDATE SET number = number + excluded.number",
        (namespace, key),
    )
    return sql.execute("DELETE FROM dispatches WHERE namespace = ? AND key = ?", (namespace, key)).rowcount
