"""The report: the overview's figures and pictures in one file to send, print or keep."""

from __future__ import annotations

from datetime import datetime
from importlib.resources import files

from alias_middleware.dashboard.desk import templates
from alias_middleware.dashboard.pages import overview
from alias_middleware.dashboard.period import Period
from alias_middleware.dashboard.pictures import panel
from alias_middleware.dashboard.words import Words
from alias_middleware.tracker import Tracker


def report(tracker: Tracker, period: Period, *, language: str, now: datetime) -> str:
    """Give the report as one HTML file: no script, no link, nothing that is fetched, nobody named.

    `language` is one that has a catalogue, `now` an aware datetime.

    Raises:
        StorageError: the storage does not answer.
    """
    settings = tracker.settings
    words = Words(language, settings.tzinfo)
    found = overview.gather(tracker, period)
    policy = settings.contact_policy()
    return (
        templates()
        .get_template("report.html")
        .render(
            words=words,
            period=period,
            zone=settings.zone,
            cells=found.cells,
            panels=[panel(table, words, policy) for table in found.tables],
            made=words.moment(now),
            style=files("alias_middleware.dashboard").joinpath("static/style.css").read_text("utf-8"),
        )
    )
