"""An erasure step by step, a transaction each; one that was cut short is finished by the next batch."""

from __future__ import annotations

from alias_middleware.identity import stored_part
from alias_middleware.storage.sqlite import erasure
from alias_middleware.storage.sqlite.connection import Connection
from alias_middleware.storage.sqlite.figures import FiguresFile
from alias_middleware.storage.sqlite.files import Files
from alias_middleware.storage.sqlite.marks import all_marks
from alias_middleware.storage.sqlite.outbox import erase_dispatches
from alias_middleware.storage.sqlite.tombstones import Tombstones

_TIMEOUT_SECONDS = 5.0


class Erasing:
    """Erases visitors from one storage's files."""

    def __init__(self, files: Files, tombstones: Tombstones, figures: FiguresFile) -> None:
        """Use the storage's files and tombstones."""
        self._files = files
        self._tombstones = tombstones
        self._figures = figures

    def erase(self, namespace: str, key: str, time_us: int) -> dict[str, int]:
        """Erase a visitor and give the rows gone by table."""
        with self._files.wrapped() as connection:
            with connection.profile_changes(_TIMEOUT_SECONDS) as (sql, renew):
                hashes = self._tombstones.hashes(sql, "preferences", namespace, key)
                time_us = max(time_us, erasure.erased_at(sql, "preferences", namespace, hashes) or 0)
                gone = erasure.erase_preferences(sql, namespace, key, hashes, time_us, renew)
            return gone | self._erase_history(connection, namespace, key, time_us)

    def finish(self, connection: Connection) -> None:
        """Finish what was cut short. The preferences there are now came after it and stay."""
        for namespace, key, time_us in erasure.unfinished(connection.sql):
            self._erase_history(connection, namespace, key, time_us)

    def _erase_history(self, connection: Connection, namespace: str, key: str, time_us: int) -> dict[str, int]:
        with connection.transaction(_TIMEOUT_SECONDS) as sql:
            hashes = self._tombstones.hashes(sql, "main", namespace, key)
            gone = erasure.erase_history(sql, namespace, key, hashes, time_us)
            gone["dispatches"] = erase_dispatches(sql, namespace, stored_part(key))
        self._figures.forget_changed(lambda: all_marks(connection.sql))
        with connection.preferences_transaction(_TIMEOUT_SECONDS) as sql:
            erasure.mark_finished(sql, namespace, key, time_us)
        connection.truncate_logs()
        return gone
