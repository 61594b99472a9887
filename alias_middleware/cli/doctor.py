"""The command `doctor`: examines a deployment, and says by its exit code whether something must be done."""

from __future__ import annotations

import os
from typing import Any

import click
import msgspec

from alias_middleware import doctor
from alias_middleware.cli.output import json_option, show, silence_log
from alias_middleware.cli.source import Source, with_app
from alias_middleware.cli.tables import Table
from alias_middleware.errors import SettingsError

_HELP = """Examine a deployment: settings, spool, storage, drainer, and with --url whom it believes.

With --url the page is asked for some sixty times, with forged headers that claim made-up aliases. What then is
recorded of one got through; it is erased again, and appears in the figures as erased. The others count as
unidentified page views. Run it as the site's user, on the site's machine.

By default the doctor is a stranger: give the address of the site from a machine that is no gateway, or the address
of the gateway itself. With --as-gateway the site trusts this machine, which then lets phones' headers through.

The site's secret, if it asks for one, is read from ALIAS_GATEWAY_SECRET as "name: value".

Exit codes: 0 nothing has failed, there may be warnings; 1 something has, or with --strict there is a warning;
2 the command or a setting is wrong.
"""


@click.command("doctor", help=_HELP)
@click.option("--url", metavar="URL", help="A page of the site that anybody may see, as http://site.example/")
@click.option("--as-gateway", is_flag=True, help="The site trusts this machine: play its gateway.")
@click.option("--wait", type=click.FloatRange(0.1), default=10, show_default=True, help="Seconds for the drainer.")
@click.option("--strict", is_flag=True, help="Fail at a warning too.")
@json_option
@click.pass_context
def _doctor(
    context: click.Context, *, url: str | None, as_gateway: bool, wait: float, strict: bool, as_json: bool
) -> None:
    silence_log()
    source = context.find_object(Source)
    if source is None or (as_gateway and url is None):
        raise click.UsageError("--as-gateway says how --url is to be asked")
    try:
        target = doctor.target_of(url) if url is not None else None
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--url") from error
    if secret := os.environ.get("ALIAS_GATEWAY_SECRET"):  # no option: it would show in the list of processes
        source.given["gateway_secret"] = _secret(secret)
    with source.opened() as tracker:
        report = doctor.examine(tracker, entropy=os.urandom, patience=wait, target=target, as_gateway=as_gateway)
    show(as_json, report_document(report), lambda: [report_table(report)])
    bad = (doctor.Level.FAIL, doctor.Level.WARN) if strict else (doctor.Level.FAIL,)
    if report.level in bad:
        context.exit(1)


def report_document(report: doctor.Report) -> dict[str, Any]:
    """Give a report as plain JSON values."""
    document: dict[str, Any] = msgspec.to_builtins(report)
    return {"level": report.level, **document}


def report_table(report: doctor.Report) -> Table:
    """Lay out the findings, the worst first."""
    order = list(reversed(doctor.Level))
    findings = sorted(report.findings, key=lambda finding: order.index(finding.level))
    rows = [(finding.level, finding.check, finding.measured, finding.remedy) for finding in findings]
    return Table("What the doctor found", ("level", "check", "measured", "remedy"), rows)


def app_doctor() -> click.Command:
    """Make the command for `flask alias`, whose settings are the app's."""
    return _doctor


def standalone_doctor() -> click.Command:
    """Make the command for `alias-middleware`, whose settings are options, or those of an app."""
    command = with_app(_doctor)
    command.params.append(_gateways_option())
    return command


def _gateways_option() -> click.Option:
    def keep(context: click.Context, option: click.Parameter, value: str | None) -> None:
        if value is not None and isinstance(context.obj, Source):
            entries = [entry.strip() for entry in value.split(",") if entry.strip()]
            context.obj.given["trusted_gateways"] = entries

    return click.Option(
        ["--trusted-gateways"],
        envvar="ALIAS_TRUSTED_GATEWAYS",
        show_envvar=True,
        metavar="LIST",
        expose_value=False,
        callback=keep,
        help="As the site has them, separated by commas.",
    )


def _secret(text: str) -> tuple[str, str]:
    """Read a gateway's secret as a header line."""
    name, colon, value = text.partition(":")
    if not colon:
        raise SettingsError("write it as a header line: name: value", setting="gateway_secret")
    return name.strip(), value.strip()
