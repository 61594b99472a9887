"""The report: the overview's figures and pictures in one file to send, print or keep."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime
from importlib.resources import files

from alias_middleware.dashboard.desk import templates
from alias_middleware.dashboard.drawing import Drawer
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
    words, policy = Words(language, settings.tzinfo), settings.contact_policy()
    with closing(Drawer()) as drawer:
        drawer.warm_up()
        found = overview.gather(tracker, period, lambda table: panel(table, words, policy, drawer))
        return (
            templates()
            .get_template("report.html")
            .render(
                words=words,
                period=period,
                zone=settings.zone,
                attached_on=tracker.statistics.attached_before(period.until, period.service),
                cells=found.cells,
                panels=[panel(table, words, policy, drawer) for table in found.tables],
                made=words.moment(now),
                style=files("alias_middleware.dashboard").joinpath("static/style.css").read_text("utf-8"),
            )
        )
