"""What is known of visitors when messages to them are judged, asked of PostgreSQL in one round trip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from psycopg import Cursor

from alias_middleware.identity import stored_part
from alias_middleware.profile import StoredProfile
from alias_middleware.storage.keyring import Keyring
from alias_middleware.storage.outbox import REACHED, Evidence
from alias_middleware.storage.postgresql import seals, suppressions
from alias_middleware.storage.postgresql.pool import Connection
from alias_middleware.storage.postgresql.pseudonyms import named_by

_MOST_CONTACTS = 100
_STRANGER = StoredProfile()

_KEYS = "SELECT key FROM visitors WHERE namespace = %s AND key > %s ORDER BY key LIMIT %s"
_KNOWN = "SELECT key, knowledge, habits FROM visitors WHERE namespace = %s AND key = ANY(%s)"
_PROFILES = """
    SELECT key, preferences, personal, consents FROM profiles WHERE namespace = %s AND key = ANY(%s)
"""
_CONTACTS = """
    SELECT key, claimed_us FROM dispatches
    WHERE namespace = %s AND key = ANY(%s) AND claimed_us IS NOT NULL AND state = ANY(%s)
    ORDER BY key, claimed_us DESC
"""


class Asked(NamedTuple):
    """A question about some visitors on its way, perhaps in a pipeline."""

    keys: Sequence[str]
    known: Cursor[Any]
    profiles: Cursor[Any]
    contacts: Cursor[Any]
    forbidden: suppressions.Asked
    seals: Cursor[Any]

    def answer(self) -> list[Evidence]:
        """Give what is known of each, in the order in which they were asked for."""
        knowledge = {key: b"%b\n%b" % tuple(parts) for key, *parts in self.known.fetchall()}
        profiles = {key: StoredProfile(*documents) for key, *documents in self.profiles.fetchall()}
        contacts: dict[str, list[int]] = {}
        for key, claimed_us in self.contacts.fetchall():
            contacts.setdefault(key, []).append(claimed_us)
        forbidden = self.forbidden.answer()
        sealed = seals.answer(self.seals)
        return [
            Evidence(
                key,
                knowledge.get(key, b"[]"),
                profiles.get(key, _STRANGER),
                tuple(forbidden.get(key, ())),
                tuple(contacts.get(key, ())[:_MOST_CONTACTS]),
                tuple(sealed.get(key, ())),
            )
            for key in self.keys
        ]


def ask(connection: Connection, keyring: Keyring, namespace: str, keys: Sequence[str]) -> Asked:
    """Ask what is known of some visitors; as of one moment where the transaction is."""
    stored = [stored_part(key) for key in keys]
    asked = (namespace, stored)
    given = {part: key for part, key in zip(stored, keys, strict=True) if part != key}
    named = given or named_by(connection, keyring, namespace, stored)
    return Asked(
        stored,
        connection.execute(_KNOWN, asked, binary=True),
        connection.execute(_PROFILES, asked, binary=True),
        connection.execute(_CONTACTS, (*asked, list(REACHED)), binary=True),
        suppressions.ask(connection, keyring, namespace, stored, named),
        seals.ask(connection, namespace, stored),
    )


def page(connection: Connection, keyring: Keyring, namespace: str, after: str, limit: int) -> list[Evidence]:
    """Give what is known of a page of visitors, as of one moment."""
    with connection.pipeline():
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        found = connection.execute(_KEYS, (namespace, after, limit), binary=True)
    keys = [key for (key,) in found.fetchall()]
    with connection.pipeline():
        asked = ask(connection, keyring, namespace, keys)
        connection.execute("COMMIT")
    return asked.answer()


def of_one(connection: Connection, keyring: Keyring, namespace: str, key: str) -> Evidence:
    """Give what is known of one visitor, as of one moment."""
    with connection.pipeline():
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        asked = ask(connection, keyring, namespace, [key])
        connection.execute("COMMIT")
    return asked.answer()[0]
