"""Asks a storage for totals and answers with figures."""

from __future__ import annotations

from datetime import date

from alias_middleware.local_time import LocalDays
from alias_middleware.settings import Settings
from alias_middleware.statistics import Summary, check_interval, summarise
from alias_middleware.storage.base import Storage


class Statistics:
    """The figures of one service. Totals follow the recorded events within about a second."""

    def __init__(self, storage: Storage, settings: Settings) -> None:
        """Ask `storage` about the service that `settings` names."""
        self._storage = storage
        self._settings = settings
        self._days = LocalDays(settings.tzinfo)

    def summary(self, since: date, until: date) -> Summary:
        """Give every figure over the local days from `since` to the one before `until`.

        Raises:
            TypeError, ValueError: no half-open interval of local dates.
            StorageError: the storage does not answer.
        """
        check_interval(since, until)
        service = self._settings.service
        totals = self._storage.totals(
            service, since.toordinal(), until.toordinal(), erased_since_us=self._days.start(since)
        )
        return summarise(totals, service=service, since=since, until=until, zone=self._settings.zone)
