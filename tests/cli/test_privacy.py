"""The commands for the rights of the person."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest

from alias_middleware import Tracker
from alias_middleware.cli.output import user_name
from alias_middleware.contact import ShortCode
from alias_middleware.smsplus.transports import ConsoleTransport
from tests.cli.conftest import ALIAS, Run, error_line

pytestmark = pytest.mark.usefixtures("database")
SITE = ("--service", "ringtones")
ASKED = ("--requester", "Ada", "--reason", "by letter")


def test_an_export_stands_in_the_audit(run: Run) -> None:
    """The document is complete, and says to whom it was given and why."""
    result = run("privacy", "export", ALIAS, *ASKED, "--json", *SITE)
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert document["preferences"] == {"font": "large"}
    assert [(row["requester"], row["reason"]) for row in document["disclosures"]] == [("Ada", "by letter")]


def test_an_export_to_read_is_complete(database: str, run: Run) -> None:
    """As tables, too: what he wrote, what forbids writing to him, what was sent to him, who was shown it."""
    codes = {"36123": ShortCode(service="ringtones", offer="light_pull")}
    tracker = Tracker(service="ringtones", storage=database, trusted_gateways=[], short_codes=codes)
    now = datetime.now(UTC)
    tracker.receive_sms(ALIAS, "36123", "MENU bleu", at=now, message_id="1")
    tracker.receive_sms(ALIAS, "36123", "STOP", at=now, message_id="2")
    campaign = tracker.contact.campaign(
        "noel", offer="light_pull", kind="marketing", sender="36123", text="Bonjour"
    )
    tracker.contact.declare_no_prior_optouts()
    tracker.flush()
    campaign.run(ConsoleTransport(StringIO()))
    tracker.close()
    told = " ".join(run("privacy", "export", ALIAS, *ASKED, *SITE).stdout.split())
    for words in (
        "36123 MENU bleu light_pull",
        "marketing stop sms",
        "noel refused service_stopped",
        "Ada by letter",
        "Pages he goes to path title /welcome",
    ):
        assert words in told


def test_a_look_at_a_visitor_names_who_looked(run: Run) -> None:
    """The audit has the system's name of who ran the command."""
    document = json.loads(run("visitor", ALIAS, "--json", *SITE).stdout)
    assert [(row["requester"], row["reason"]) for row in document["disclosures"]] == [
        (user_name(), "alias-middleware visitor")
    ]


def test_nobody_is_told_to_be_nobody(run: Run) -> None:
    """Everybody's favourites are not shown as those of a visitor that nothing is stored of."""
    result = run("visitor", "999999999999", *SITE)
    assert result.exit_code == 0
    assert "Nothing is stored of this visitor." in result.stderr
    assert "Interests" not in result.stdout
    assert "Nothing" not in run("visitor", ALIAS, *SITE).stderr


def test_an_export_names_who_asks(run: Run) -> None:
    """Nothing is shown to nobody."""
    assert run("privacy", "export", ALIAS, *SITE).exit_code == 2


def test_an_erasure_can_be_tried(run: Run, tmp_path: Path) -> None:
    """A dry run counts; then the visitor is gone from every file but those of the spool."""
    tried = run("privacy", "erase", ALIAS, "--dry-run", "--json", *SITE)
    assert json.loads(tried.stdout) == {"events": 3, "profiles": 1, "dispatches": 0}
    gone = json.loads(run("privacy", "erase", ALIAS, "--json", *SITE).stdout)
    assert (gone["events"], gone["profiles"]) == (3, 1)
    left = [path for path in tmp_path.rglob("*") if path.is_file() and ALIAS.encode() in path.read_bytes()]
    assert left == []


def test_a_purge_of_what_is_young(run: Run) -> None:
    """Nothing goes; the counts say so, as JSON and as a table."""
    assert not any(json.loads(run("privacy", "purge", "--dry-run", "--json", *SITE).stdout).values())
    assert "Gone" in run("privacy", "purge", *SITE).stdout


def test_profiles_stay_as_long_as_raw_events(run: Run) -> None:
    """The other way round is refused."""
    result = run("privacy", "purge", "--raw-older-than", "30", "--profiles-idle", "29", *SITE)
    assert result.exit_code == 2
    assert "no shorter" in error_line(result)


def test_erasures_are_replayed(run: Run) -> None:
    """On a storage that knows of them there is nothing to do."""
    run("privacy", "erase", ALIAS, *SITE)
    result = run("privacy", "replay", "--json", *SITE)
    assert json.loads(result.stdout) == {"logged": 1, "replayed": 0}


@pytest.mark.parametrize("command", ["export", "erase"])
def test_a_mistyped_alias(run: Run, command: str) -> None:
    """It is told, and not repeated."""
    result = run("privacy", command, "12345", *(ASKED if command == "export" else ()), *SITE)
    assert result.exit_code == 2
    assert "12345" not in error_line(result)
