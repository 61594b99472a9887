"""The publisher's commands: who may be written to and why not, campaigns, received messages, conversions."""

from __future__ import annotations

import json
import stat
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from alias_middleware.cli.commands import for_app
from alias_middleware.errors import SendingUncertain
from alias_middleware.transport import Outgoing
from tests.cli.conftest import ALIAS, Run
from tests.support.site import OTHER_ALIAS
from tests.support.sms import PULL, Shop

PLAN = ["--offer", "light_pull", "--sender", PULL, "--text", "Bonjour"]
WHY = ["--reason", "contest", "--requester", "M. Martin"]


@pytest.fixture
def shop(tmp_path: Path) -> Any:
    """A shop whose app has the commands, with two clients who wrote to it."""
    made = Shop("sqlite", tmp_path)
    for alias in (ALIAS, OTHER_ALIAS):
        made.write(alias, "MENU")
    made.buy(ALIAS, OTHER_ALIAS)
    yield made
    made.tracker.close()


def run(shop: Shop, *arguments: str, input: str | None = None, code: int = 0) -> str:
    """Run a command of the app's."""
    result = CliRunner().invoke(for_app(shop.tracker), arguments, input=input, catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.stdout if code == 0 else result.stderr


def test_a_verdict_says_what_every_rule_says(shop: Shop) -> None:
    """For another moment, too."""
    asked = ["contact", "verdict", ALIAS, "--offer", "light_pull", "--sender", PULL]
    held = json.loads(run(shop, *asked, "--at", "2026-03-02T22:30", "--json"))
    assert (held["decision"], held["until"]) == ("hold", "2026-03-03T08:00:00+01:00")
    assert {"window_open", "client", "quiet_hours"} <= {reason["name"] for reason in held["reasons"]}
    table = run(shop, *asked, "--at", "2026-03-02T14:00")
    assert table.startswith("send")
    assert ALIAS not in table


def test_moments_of_a_verdict_are_the_services(shop: Shop) -> None:
    """A moment is shown in the zone in which --at is read."""
    asked = ["contact", "verdict", ALIAS, "--offer", "light_pull", "--sender", PULL]
    table = run(shop, *asked, "--at", "2026-03-02T22:30")
    assert table.startswith("hold until 2026-03-03 08:00 CET")
    window = next(line for line in table.splitlines() if "window_open" in line)
    assert window.split()[2:5] == ["2026-05-01", "13:00", "CEST"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(["33677236335"], "no alias", id="a phone number"),
        pytest.param([ALIAS, "--at", "tomorrow"], "no moment", id="no moment"),
    ],
)
def test_a_wrong_question(shop: Shop, arguments: list[str], says: str) -> None:
    """One line that says what is wrong, without the value."""
    error = run(shop, "contact", "verdict", *arguments, "--offer", "light_pull", "--sender", PULL, code=2)
    assert says in error
    assert "33677236335" not in error


def test_a_campaign_from_preview_to_end(shop: Shop, tmp_path: Path) -> None:
    """Previewed, refused without the earlier opt-outs, sent to a file, told, found by its name."""
    preview = json.loads(run(shop, "campaign", "preview", "noel", *PLAN, "--at", "2026-03-02T14:00", "--json"))
    assert (preview["selected"], preview["send"], preview["text"]) == (2, 2, f"Bonjour STOP {PULL}")
    assert "would be held" in run(shop, "campaign", "preview", "noel", "--at", "2026-03-02T22:30")
    sent = tmp_path / "sent.jsonl"
    where = ["--transport", f"file:{sent}"]
    assert "opt-outs" in run(shop, "campaign", "run", "noel", *where, code=1)
    progress = json.loads(run(shop, "campaign", "run", "noel", *where, "--no-prior-optouts", "--json"))
    assert progress == {"name": "noel", "standing": "finished", "states": {"sent": 2}, "reasons": {}}
    assert len(sent.read_text().splitlines()) == 2
    assert stat.S_IMODE(sent.stat().st_mode) == 0o600
    assert "2 sent" in run(shop, "campaign", "status")
    assert "finished" in run(shop, "campaign", "cancel", "noel", code=1)


def test_what_is_due(shop: Shop, tmp_path: Path) -> None:
    """Without a name a run is of what is due; a scheduled campaign is not before its moment."""
    shop.tracker.contact.declare_no_prior_optouts()
    where = ["--transport", f"file:{tmp_path}/sent.jsonl"]
    run(shop, "campaign", "preview", "noel", *PLAN, "--starts", f"{shop.now + timedelta(days=1):%Y-%m-%dT%H:%M%z}")
    assert json.loads(run(shop, "campaign", "run", *where, "--json")) == []
    assert "scheduled" in run(shop, "campaign", "status")
    shop.clock.advance(days=1)
    (progress,) = json.loads(run(shop, "campaign", "run", *where, "--json"))
    assert (progress["name"], progress["states"]) == ("noel", {"sent": 2})
    assert "needs a NAME" in run(shop, "campaign", "run", *where, *PLAN, code=2)


def test_opt_outs_from_before(shop: Shop, tmp_path: Path) -> None:
    """Once however often they are imported; what is no alias is kept aside; then a campaign may run."""
    file = tmp_path / "optouts.csv"
    file.write_text("alias,since\n33677236335,2024-01-01\n")
    assert "nobody is named" in run(shop, "import", "suppressions", str(file), code=1)
    transport = ("--transport", f"file:{tmp_path / 'none'}")
    assert "opt-outs" in run(shop, "campaign", "run", "noel", *PLAN, *transport, code=1)
    file.write_text(f"alias,since\n{ALIAS},2024-01-01\n33677236335,2024-01-01\n\n")
    for _ in range(2):
        told = run(shop, "import", "suppressions", str(file))
    rows = dict(line.split()[-2:] for line in told.splitlines() if line.split()[-1].isdecimal())
    assert rows == {"opt-outs": "1", "rejected": "1"}
    again = CliRunner().invoke(for_app(shop.tracker), ["import", "suppressions", str(file)])
    assert "that name no alias, so that nobody is opted out by them: 1," in again.stderr
    aside = tmp_path / "optouts.csv.rejected"
    assert "33677236335" in aside.read_text()
    assert stat.S_IMODE(aside.stat().st_mode) == 0o600
    sent = tmp_path / "sent.jsonl"
    progress = run(shop, "campaign", "run", "noel", *PLAN, "--transport", f"file:{sent}", "--json")
    assert json.loads(progress)["reasons"] == {"opted_out": 1}
    file.write_text("phone\n")
    assert "alias" in run(shop, "import", "suppressions", str(file), code=2)


def test_an_audience_by_options(shop: Shop) -> None:
    """Each option narrows it."""
    for options, selected in (
        (["--clients"], 2),
        (["--no-clients"], 0),
        (["--min-orders", "2"], 0),
        (["--idle-days", "1"], 0),
        (["--last-offer", "light_pull"], 2),
    ):
        name = " ".join(options).strip("-")
        preview = json.loads(run(shop, "campaign", "preview", name, *PLAN, *options, "--json"))
        assert preview["selected"] == selected, options


def test_a_frequency_cap_by_option(shop: Shop, tmp_path: Path) -> None:
    """So many messages in so many days, those of other campaigns counted; the plan keeps it."""
    run(shop, "campaign", "run", "noel", *PLAN, "--transport", f"file:{tmp_path}/sent", "--no-prior-optouts")
    for cap, reasons in (("1/7", {"frequency_cap": 2}), ("2/7", {})):
        name = f"paques {cap}"
        preview = json.loads(run(shop, "campaign", "preview", name, *PLAN, "--cap", cap, "--json"))
        assert preview["reasons"] == reasons
        assert json.loads(run(shop, "campaign", "preview", name, "--json"))["reasons"] == reasons
    where = ["--transport", f"file:{tmp_path}/sent"]
    progress = json.loads(run(shop, "campaign", "run", "mai", *PLAN, *where, "--cap", " 1 / 7 ", "--json"))
    assert progress["reasons"] == {"frequency_cap": 2}


@pytest.mark.parametrize("cap", ["2", "0/7", "2/0", "-1/7", "two/7", "1/7/9", "1/99999999999", ""])
def test_a_frequency_cap_that_is_none(shop: Shop, cap: str) -> None:
    """The error says how one is written."""
    assert "COUNT/DAYS" in run(shop, "campaign", "preview", "noel", *PLAN, "--cap", cap, code=2)


def test_pausing_and_cancelling(shop: Shop) -> None:
    """The standing is told."""
    run(shop, "campaign", "preview", "noel", *PLAN)
    assert run(shop, "campaign", "pause", "noel") == "paused\n"
    assert json.loads(run(shop, "campaign", "pause", "noel", "--json"))["standing"] == "paused"
    assert run(shop, "campaign", "cancel", "noel") == "cancelled\n"
    assert "no campaign" in run(shop, "campaign", "status", "paques", code=1)


def test_what_nobody_knows_is_listed(shop: Shop) -> None:
    """Message by message, with the visitor it may have reached, page by page."""

    def vanish(message: Outgoing) -> None:
        raise SendingUncertain(reason="timeout")

    shop.gateway.broken = vanish
    shop.tracker.contact.declare_no_prior_optouts()
    shop.campaign("noel").run(shop.gateway)
    told = json.loads(run(shop, "campaign", "uncertain", "noel", "--json"))
    assert [(each["key"], each["reason"]) for each in told] == [(key, "timeout") for key in (OTHER_ALIAS, ALIAS)]
    table = run(shop, "campaign", "uncertain", "noel", "--after", told[0]["key"], "--limit", "1")
    assert told[1]["message_id"] in table
    assert told[0]["message_id"] not in table


def test_a_transport_that_is_none(shop: Shop) -> None:
    """The error lists those there are."""
    assert "kannel:URL" in run(shop, "campaign", "run", "noel", *PLAN, "--transport", "pigeon", code=2)


def test_a_message_by_hand(shop: Shop) -> None:
    """Taken twice it counts once; a STOP is in force."""
    asked = ["sms", "receive", "--from", ALIAS, "--to", PULL, "--text", "STOP", "--id", "7"]
    for _ in range(2):
        received = json.loads(run(shop, *asked, "--at", "2026-03-02T14:00", "--json"))
        assert received == {"meaning": "opt_out", "offer": "light_pull"}
    shop.tracker.flush()
    assert len(shop.tracker.visitor(ALIAS).history()) == 3
    assert "opted_out" in shop.objections(ALIAS)[1]


def test_conversions(shop: Shop) -> None:
    """Spent when a person says that it worked, given back when not; the audit has who and why."""
    assert "99 conversions are left" in run(shop, "desalias", "spend", ALIAS, *WHY, input="y\n")
    run(shop, "desalias", "spend", ALIAS, *WHY, input="n\n", code=1)
    spent = json.loads(run(shop, "desalias", "spend", ALIAS, *WHY, "--json", input="y\n"))
    assert (spent["limit"], spent["spent"]) == (100, 2)
    standing = json.loads(run(shop, "desalias", "status", "--json"))
    assert (standing["limit"], standing["spent"], standing["month"]) == (100, 2, "2026-03")
    audit = run(shop, "desalias", "audit")
    assert audit.count("M. Martin") == 3
    assert "given back" in audit
    assert ALIAS not in audit


def test_a_draw(shop: Shop, tmp_path: Path) -> None:
    """The same seed finds the same winner; the audit verifies it."""
    people = tmp_path / "people.txt"
    people.write_text(f"{ALIAS}\n{OTHER_ALIAS}\n\n")
    seed = "5f" * 32
    asked = ("desalias", "draw", str(people), *WHY, "--seed", seed)
    drawn = [
        json.loads(run(shop, *asked, "--yes", "--json")),
        json.loads(run(shop, *asked, "--json", input="y\n")),
    ]
    assert drawn[0] == drawn[1]
    assert drawn[0]["winner"] in {ALIAS, OTHER_ALIAS}
    assert drawn[0]["digest"] in run(shop, "desalias", "audit")
    assert drawn[0]["winner"] in run(shop, *asked, input="n\n", code=1)
    assert json.loads(run(shop, "desalias", "status", "--json"))["spent"] == 2
    for seed in ("5f", "xy" * 32):
        assert "64" in run(shop, "desalias", "draw", str(people), *WHY, "--seed", seed, code=2)


def test_a_plan_for_a_common_id(shop: Shop) -> None:
    """What each choice would lose, from the storage's own figures."""
    advice = json.loads(
        run(shop, "common-id", "plan", "sonneries", "news:premium_push", "--since", "2026-01-01", "--json")
    )
    assert advice["by_audience"] == "sonneries"
    assert [each["visits"] for each in advice["services"]] == [4, 0]
    assert [choice["visits_lost"] for choice in advice["choices"]] == [0, 4]
    assert [choice["clients_lost"] for choice in advice["choices"]] == [0, 2]
    assert "not sold" not in run(shop, "common-id", "plan", "sonneries", "news")
    assert "sold with" in run(shop, "common-id", "plan", "sonneries", "news:light_pull", code=1)


def test_the_commands_take_their_settings_as_options(database: str, run: Run) -> None:
    """Without an app there are no short codes; what needs none works."""
    result = run("desalias", "status", "--json", ALIAS_SERVICE="ringtones")
    assert json.loads(result.stdout)["limit"] == 100
    result = run(
        "contact", "verdict", ALIAS, "--offer", "light_pull", "--sender", "36123", ALIAS_SERVICE="ringtones"
    )
    assert result.stdout.startswith("refuse")
