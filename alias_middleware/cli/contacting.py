"""The commands that contact visitors again: verdicts, campaigns, received messages, conversions to numbers.

Short codes, policy and caps are an app's settings: name it with --app. Aliases are shown where they are asked for.
"""

from __future__ import annotations

import os
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click
import msgspec

from alias_middleware.audience import Audience
from alias_middleware.campaigns import Campaign
from alias_middleware.cli.output import json_of, json_option, show, silence_log
from alias_middleware.cli.progress import Watched, progress
from alias_middleware.cli.source import Source, require_data, zone_of
from alias_middleware.cli.tables import Table
from alias_middleware.contact import OFFERS, FrequencyCap, Verdict
from alias_middleware.local_time import from_micros
from alias_middleware.plans import Preview, Progress
from alias_middleware.tracker import Tracker
from alias_middleware.transport import Transport

_KINDS = click.Choice(["marketing", "transactional", "reply"])
_TRANSPORTS = "console, file:PATH, or kannel:URL with ALIAS_KANNEL_USER and ALIAS_KANNEL_PASSWORD"
_MOST = 3660
"""Messages, or days, of a frequency cap at most."""

_offer = click.option("--offer", type=click.Choice(list(OFFERS)), required=True, help="The operator's offer.")
_kind = click.option("--kind", type=_KINDS, default="marketing", show_default=True, help="Kind of message.")
_sender = click.option("--sender", required=True, help="Short code or name that the message comes from.")
_at = click.option(
    "--at", metavar="TIME", help="Another moment than now, as 2026-12-24T22:00 in the service's zone."
)


@click.group("contact")
def contact() -> None:
    """Tell whether a visitor may be contacted."""


@contact.command("verdict")
@click.argument("alias")
@_offer
@_kind
@_sender
@_at
@json_option
@click.pass_obj
def verdict(
    source: Source, alias: str, *, offer: str, kind: Any, sender: str, at: str | None, as_json: bool
) -> None:
    """Judge one message to one visitor, with what every rule says."""
    silence_log()
    with source.opened() as tracker:
        require_data(tracker)
        moment = _moment(tracker, at)
        try:
            judged = tracker.contact.verdict(alias, offer=offer, kind=kind, sender=sender, at=moment)
        except ValueError as error:
            raise click.UsageError(str(error)) from error
        zone = zone_of(tracker)
    show(as_json, _verdict_document(judged), lambda: [_verdict_table(judged, zone)])


@click.group("campaign")
def campaign() -> None:
    """Send one message to many visitors, each at most once."""


def _cap(context: click.Context, option: click.Parameter, text: str | None) -> FrequencyCap | None:
    if text is None:
        return None
    messages, _, days = (part.strip() for part in text.partition("/"))
    if not all(number.isascii() and number.isdigit() and 0 < int(number) <= _MOST for number in (messages, days)):
        raise click.BadParameter("write COUNT/DAYS, as 2/7: two messages in any seven days")
    return FrequencyCap(int(messages), timedelta(days=int(days)))


def _plan_options(command: Any) -> Any:
    """Let a command plan a campaign, or find one by its name alone."""
    for option in reversed([
        click.option("--offer", type=click.Choice(list(OFFERS)), help="The operator's offer."),
        _kind,
        click.option("--sender", help="Short code or name that the message comes from."),
        click.option("--text", help="What the visitor reads; a STOP mention is added where it must be."),
        click.option("--stop-code", help="Short code that takes STOP, where the sender is a name."),
        click.option("--interest", help="Only who favours this category."),
        click.option("--idle-days", type=int, help="Only who has not been seen for so many days."),
        click.option("--min-orders", type=int, help="Only who has ordered so often."),
        click.option("--clients/--no-clients", default=None, help="Only who has, or has not, ordered."),
        click.option("--last-offer", help="Only who wrote to this offer last."),
        click.option("--starts", metavar="TIME", help="Nothing goes before."),
        click.option("--expires", metavar="TIME", help="What is still held then is dropped."),
        click.option("--rate", type=float, help="Messages a second at most."),
        click.option("--cap", metavar="COUNT/DAYS", callback=_cap,
                     help="Marketing messages to one visitor at most, as 2/7: two in any seven days."),
    ]):  # fmt: skip
        command = option(command)
    return command


@campaign.command("preview")
@click.argument("name")
@_plan_options
@_at
@json_option
@click.pass_obj
def preview(source: Source, /, *, at: str | None, as_json: bool, **plan: Any) -> None:
    """Tell who would get the message, who later, who not and why; nothing is sent."""
    silence_log()
    with source.opened() as tracker:
        require_data(tracker)
        found = _planned(tracker, plan).preview(_moment(tracker, at))
        zone = zone_of(tracker)
    show(as_json, found, lambda: _preview_tables(found, zone))


@campaign.command("run")
@click.argument("name", required=False)
@_plan_options
@click.option("--transport", required=True, metavar="WHERE", help=_TRANSPORTS)
@click.option("--no-prior-optouts", is_flag=True, help="Nobody opted out before this library was there.")
@json_option
@click.pass_obj
def run(source: Source, /, *, transport: str, no_prior_optouts: bool, as_json: bool, **plan: Any) -> None:
    """Send what may be sent now; run again, it goes on where it stopped. Held messages go when they are due.

    Without a NAME every scheduled campaign whose time has come is run, and every one that waits for held messages:
    that is for a timer.
    """
    silence_log()
    with source.opened() as tracker:
        require_data(tracker)
        if no_prior_optouts:
            tracker.contact.declare_no_prior_optouts()
        way = _transport(transport)
        with progress(f"{plan['name'] or 'campaigns'}: messages handed over") as step:
            watched = Watched(way, step)
            if plan["name"] is None:
                _require_no_plan(plan)
                found = tracker.contact.run_due(watched)
            else:
                found = [_planned(tracker, plan).run(watched)]
    document = found if plan["name"] is None else found[0]
    show(as_json, document, lambda: [_progress_table(found)])


@campaign.command("status")
@click.argument("name", required=False)
@json_option
@click.pass_obj
def status(source: Source, name: str | None, as_json: bool) -> None:
    """Tell where one campaign stands, or each of them."""
    silence_log()
    with source.opened() as tracker:
        require_data(tracker)
        found = [tracker.contact.find(name).status()] if name else tracker.contact.campaigns()
    show(as_json, found, lambda: [_progress_table(found)])


@campaign.command("uncertain")
@click.argument("name")
@click.option("--after", default="", help="The visitor whom the page before ended with.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="Messages of a page.")
@json_option
@click.pass_obj
def uncertain(source: Source, name: str, *, after: str, limit: int, as_json: bool) -> None:
    """List the messages of which nobody knows whether the gateway took them; they are never sent again."""
    silence_log()
    with source.opened() as tracker:
        require_data(tracker)
        found = tracker.contact.find(name).uncertain(after, limit)
        zone = zone_of(tracker)
    rows = [(each.key, each.message_id, each.reason, _shown(from_micros(each.time_us), zone)) for each in found]
    show(as_json, found, lambda: [Table("Uncertain", ("visitor", "message", "why", "since"), rows)])


@campaign.command("pause")
@click.argument("name")
@json_option
@click.pass_obj
def pause(source: Source, name: str, as_json: bool) -> None:
    """Let a run end after the message it is sending."""
    _turn(source, name, "pause", as_json=as_json)


@campaign.command("cancel")
@click.argument("name")
@json_option
@click.pass_obj
def cancel(source: Source, name: str, as_json: bool) -> None:
    """End a campaign for good; what waits is cancelled."""
    _turn(source, name, "cancel", as_json=as_json)


def _turn(source: Source, name: str, how: str, *, as_json: bool) -> None:
    silence_log()
    with source.opened() as tracker:
        require_data(tracker)
        found = tracker.contact.find(name)
        if not getattr(found, how)():
            raise click.ClickException("it is finished or cancelled already")
        turned = found.status()
    click.echo(json_of(turned) if as_json else turned.standing)


def _planned(tracker: Tracker, plan: dict[str, Any]) -> Campaign:
    """Give the campaign that the options plan, or the one of that name when they plan nothing."""
    name, text = plan["name"], plan["text"]
    if text is None:
        return tracker.contact.find(name)
    if plan["offer"] is None or plan["sender"] is None:
        raise click.UsageError("--text needs --offer and --sender")
    audience = Audience(
        client=plan["clients"],
        min_orders=plan["min_orders"],
        interest=plan["interest"],
        idle_days=plan["idle_days"],
        last_offer=plan["last_offer"],
    )
    return tracker.contact.campaign(
        name,
        offer=plan["offer"],
        kind=plan["kind"],
        sender=plan["sender"],
        text=text,
        audience=audience,
        starts=_moment(tracker, plan["starts"]),
        expires=_moment(tracker, plan["expires"]),
        rate=plan["rate"],
        cap=plan["cap"],
        stop_code=plan["stop_code"],
    )


def _require_no_plan(plan: dict[str, Any]) -> None:
    if any(plan[name] is not None for name in ("text", "offer", "sender")):
        raise click.UsageError("a campaign that is planned needs a NAME")


def _transport(where: str) -> Transport:
    from alias_middleware.smsplus.transports import ConsoleTransport, FileTransport

    kind, _, rest = where.partition(":")
    if kind == "console":
        return ConsoleTransport(sys.stdout)
    if kind == "file" and rest:
        return FileTransport(Path(rest))
    if kind == "kannel" and rest:
        return _kannel(rest)
    raise click.BadParameter(_TRANSPORTS, param_hint="--transport")


def _kannel(url: str) -> Transport:
    from alias_middleware.smsplus.kannel import KannelTransport

    user, password = os.environ.get("ALIAS_KANNEL_USER", ""), os.environ.get("ALIAS_KANNEL_PASSWORD", "")
    reports = os.environ.get("ALIAS_KANNEL_REPORTS")
    return KannelTransport(url, username=user, password=password, reports_to=reports)


def _moment(tracker: Tracker, text: str | None) -> datetime | None:
    return None if text is None else moment_of(tracker, text)


def moment_of(tracker: Tracker, text: str) -> datetime:
    """Read a moment; one that names no zone is the service's."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise click.UsageError(f"no moment: {text!r}; write 2026-12-24T22:00") from error
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=zone_of(tracker))


def _verdict_document(judged: Verdict) -> dict[str, Any]:
    document: dict[str, Any] = msgspec.to_builtins(
        {"decision": judged.decision, "until": judged.until, "reasons": judged.reasons}
    )
    return document


def _verdict_table(judged: Verdict, zone: ZoneInfo) -> Table:
    until = f" until {_shown(judged.until, zone)}" if judged.until else ""
    rows = [(each.decision, each.name, _shown(each.value, zone), each.source) for each in judged.reasons]
    return Table(f"{judged.decision}{until}", ("says", "rule", "value", "source"), rows)


def _shown(value: object, zone: ZoneInfo) -> str:
    """Write what a rule found; a moment in the service's zone, as --at is read."""
    if isinstance(value, datetime):
        return f"{value.astimezone(zone):%Y-%m-%d %H:%M %Z}"
    return "-" if value is None else str(value)


def _preview_tables(found: Preview, zone: ZoneInfo) -> list[Table]:
    rows = [
        ("selected", str(found.selected)),
        ("would be sent now", str(found.send)),
        ("would be held", str(found.hold)),
        ("would be refused", str(found.refuse)),
        ("held until", _shown(found.until, zone)),
        ("segments in all", str(found.segments)),
        ("text", found.text),
        *(("warning", f"{warning.phrase!r}: {warning.why.replace('_', ' ')}") for warning in found.warnings),
    ]
    reasons = [(name, str(number)) for name, number in found.reasons.items()]
    return [
        Table(f"At {_shown(found.at, zone)}", ("what", "value"), rows),
        *([Table("Why not now", ("rule", "visitors"), reasons, numbers=frozenset({1}))] if reasons else []),
    ]


def _progress_table(found: list[Progress]) -> Table:
    rows = [(each.name, each.standing, _counted(each.states), _counted(each.reasons)) for each in found]
    return Table("Campaigns", ("campaign", "standing", "messages", "reasons"), rows)


def _counted(counts: Any) -> str:
    return ", ".join(f"{number} {name}" for name, number in sorted(counts.items())) or "-"
