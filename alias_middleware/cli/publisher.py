"""The commands for the publisher's desk: received messages, conversions to numbers, the identifiant commun."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import click
import msgspec

from alias_middleware.cli.contacting import campaign, contact, moment_of
from alias_middleware.cli.output import json_of, json_option, show, silence_log
from alias_middleware.cli.privacy import privacy
from alias_middleware.cli.source import Source, require_data, zone_of
from alias_middleware.cli.tables import Table
from alias_middleware.common_id import Advice, Candidate, advise
from alias_middleware.figures import Statistics
from alias_middleware.local_time import from_micros
from alias_middleware.tracker import Tracker

_YEAR = 365

_why = click.option("--reason", required=True, help="Why; it stands in the audit.")
_who = click.option("--requester", required=True, help="Who asks; it stands in the audit.")


@click.group("sms")
def sms() -> None:
    """Take messages that visitors wrote."""


@sms.command("receive")
@click.option("--from", "alias", required=True, help="The OADC: the visitor's alias.")
@click.option("--to", "short_code", required=True, help="The short code that was written to.")
@click.option("--text", required=True)
@click.option(
    "--id", "message_id", required=True, help="The gateway's id: with the same id and time it counts once."
)
@click.option("--at", required=True, metavar="TIME", help="When, as 2026-12-24T22:00 in the service's zone.")
@json_option
@click.pass_obj
def receive(
    source: Source, *, alias: str, short_code: str, text: str, message_id: str, at: str, as_json: bool
) -> None:
    """Take one SMS-MO by hand, as after an outage of the gateway."""
    silence_log()
    with source.opened() as tracker:
        moment = moment_of(tracker, at)
        received = tracker.receive_sms(alias, short_code, text, at=moment, message_id=message_id)
    rows = [("meaning", received.meaning), ("offer", received.offer or "-")]
    show(as_json, received._asdict(), lambda: [Table("Received", ("what", "value"), rows)])


@click.group("desalias")
def desalias() -> None:
    """Convert aliases to phone numbers: the month's quota, its audit, a contest's winner."""


@desalias.command("status")
@json_option
@click.pass_obj
def standing(source: Source, as_json: bool) -> None:
    """Show what is left of this month's conversions."""
    silence_log()
    with source.opened() as tracker:
        found = tracker.desaliasing.standing()
    rows = [(name.replace("_", " "), str(value)) for name, value in found._asdict().items()]
    show(as_json, found._asdict(), lambda: [Table("Conversions", ("what", "value"), rows)])


@desalias.command("audit")
@click.option("--month", metavar="YYYY-MM", help="Another month than this one.")
@json_option
@click.pass_obj
def audit(source: Source, month: str | None, as_json: bool) -> None:
    """List a month's conversions: when, who asked, why. Neither alias nor number was ever kept."""
    silence_log()
    with source.opened() as tracker:
        rows = tracker.desaliasing.audit(month)
        zone = zone_of(tracker)
    cells = [
        (
            f"{from_micros(row.time_us).astimezone(zone):%Y-%m-%d %H:%M}",
            row.requester,
            row.reason,
            "given back" if row.given_back else "spent",
            row.detail or "-",
        )
        for row in rows
    ]
    show(as_json, rows, lambda: [Table("Conversions", ("time", "requester", "reason", "state", "detail"), cells)])


@desalias.command("spend")
@click.argument("alias")
@_why
@_who
@json_option
@click.pass_obj
def spend(source: Source, alias: str, *, reason: str, requester: str, as_json: bool) -> None:
    """Spend one conversion, to be made on the operator's extranet; given back when you say that it failed."""
    silence_log()
    with source.opened() as tracker:
        try:
            tracker.desaliasing.convert(alias, _on_the_extranet, reason=reason, requester=requester)
        except ValueError as error:
            raise click.UsageError(str(error)) from error
        left = tracker.desaliasing.standing()
    if as_json:
        click.echo(json_of(left._asdict()))
    else:
        click.echo(f"{left.limit - left.spent} conversions are left in {left.month}.")


def _on_the_extranet(alias: str) -> None:
    """Let a person make the conversion, on a page that has no API; the number never passes through here."""
    click.confirm("Convert it on the operator's extranet now. Did that work?", abort=True, err=True)


def _winner_on_the_extranet(alias: str) -> str:
    """Let a person convert the winner's alias."""
    click.echo(f"The winner is {alias}.", err=True)
    click.confirm("Convert it on the operator's extranet now. Did that work?", abort=True, err=True)
    return alias


@desalias.command("draw")
@click.argument("participants", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_why
@_who
@click.option("--seed", help="64 hexadecimal digits, agreed beforehand; random otherwise.")
@click.option("--yes", is_flag=True, help="Do not ask whether the conversion worked.")
@json_option
@click.pass_obj
def draw(
    source: Source, participants: Path, *, reason: str, requester: str, seed: str | None, yes: bool, as_json: bool
) -> None:
    """Draw a winner among the aliases of a file, one a line, and spend one conversion on him.

    It is given back when you say that it failed; the audit keeps the draw all the same.
    """
    silence_log()
    people = [line.strip() for line in participants.read_text().splitlines() if line.strip()]
    with source.opened() as tracker:
        try:
            look_up = str if yes else _winner_on_the_extranet
            drawn, _ = tracker.desaliasing.draw(people, look_up, reason=reason, requester=requester, seed=seed)
        except ValueError as error:
            raise click.UsageError(str(error)) from error
    rows = [(name, str(value)) for name, value in drawn._asdict().items()]
    show(as_json, drawn._asdict(), lambda: [Table("Winner", ("what", "value"), rows)])


@click.group("common-id")
def common_id() -> None:
    """Plan an identifiant commun."""


@common_id.command("plan")
@click.argument("services", nargs=-1, required=True, metavar="SERVICE[:OFFER]...")
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), help="Compare from this day on; a year by default.")
@json_option
@click.pass_obj
def plan(source: Source, services: tuple[str, ...], since: datetime | None, as_json: bool) -> None:
    """Compare services of this storage as references for each other: what each choice loses, what it costs.

    A service is a Gallery service unless its SMS+ offer follows its name.
    """
    silence_log()
    with source.opened() as tracker:
        require_data(tracker)
        until = datetime.now(zone_of(tracker)).date() + timedelta(days=1)
        first = since.date() if since else until - timedelta(days=_YEAR)
        candidates = [_candidate(tracker, named, first, until) for named in services]
        advice = advise(candidates)
    document = {"services": [each._asdict() for each in candidates], **msgspec.structs.asdict(advice)}
    show(as_json, document, lambda: [_services_table(candidates), *_advice_tables(advice)])


def _candidate(tracker: Tracker, named: str, since: date, until: date) -> Candidate:
    service, _, offer = named.partition(":")
    alone = msgspec.structs.replace(tracker.settings, service=service, reference=None)
    figures = Statistics(tracker.storage, alone).summary(since, until)
    return Candidate(
        service,
        offer or "gallery",
        figures.visitors,
        figures.clients,
        figures.revenue,
        figures.visits,
        figures.page_views,
    )


def _services_table(candidates: list[Candidate]) -> Table:
    columns = ("service", "offer", "visitors", "clients", "visits", "page views", "revenue")
    rows = [
        (
            *each[:2],
            *(str(number) for number in (each.visitors, each.clients, each.visits, each.page_views)),
            _money(each.revenue),
        )
        for each in candidates
    ]
    return Table("The services", columns, rows, numbers=frozenset({2, 3, 4, 5}))


def _money(amounts: dict[str, Decimal]) -> str:
    return ", ".join(f"{amount} {currency}" for currency, amount in amounts.items()) or "-"


def _advice_tables(advice: Advice) -> list[Table]:
    rows = [
        (
            choice.reference,
            ", ".join(choice.attached),
            str(choice.visitors_lost),
            str(choice.clients_lost),
            str(choice.page_views_lost),
            _money(choice.revenue_lost),
        )
        for choice in advice.choices
    ]
    agreed = [
        ("loses the fewest visitors", advice.by_audience),
        ("loses the least revenue", advice.by_revenue),
        ("costs a month, without tax", f"{advice.monthly_cost} EUR"),
    ]
    columns = ("reference", "attached", "visitors' history lost", "clients'", "page views", "with revenue")
    return [
        Table("If this service is the reference", columns, rows, numbers=frozenset({2, 3, 4})),
        Table("Advice" if advice.is_clear else "Advice: decide what hurts more", ("what", "value"), agreed),
    ]


PUBLISHER: tuple[click.Group, ...] = (contact, campaign, sms, desalias, common_id, privacy)
"""The groups of commands for who publishes the service, and writes to its visitors."""
