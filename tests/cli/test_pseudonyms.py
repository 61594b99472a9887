"""The command that rotates pseudonym keys."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from alias_middleware import Tracker
from tests.cli.conftest import ALIAS, Run, error_line

KEYS = ["a pseudonym key of some length", "another pseudonym key of length"]
SITE = ("--service", "games")


@pytest.fixture(autouse=True)
def games(database: str) -> None:
    """A service whose visitors are known by pseudonym, in a database with another's."""
    tracker = Tracker(service="games", storage=database, trusted_gateways=[], pseudonym_keys=KEYS[:1])
    with tracker.visitor(ALIAS) as visitor:
        visitor.profile["level"] = 3
        visitor.show("/play")
    tracker.close()


def test_keys_are_rotated(run: Run, tmp_path: Path) -> None:
    """The rows are counted; the visitor is found by his alias as before, and by the old keys no more."""
    both = {"ALIAS_PSEUDONYM_KEYS": ",".join(KEYS)}
    refused = run("visitor", ALIAS, *SITE, **both)
    assert refused.exit_code == 2
    assert "alias-middleware pseudonyms rotate" in error_line(refused)
    counted = run("pseudonyms", "rotate", "--json", *SITE, **both)
    assert json.loads(counted.stdout) == {"profiles": 1, "visitors": 1, "dispatches": 0, "sealed_aliases": 0}
    document = json.loads(run("visitor", ALIAS, *SITE, "--json", **both).stdout)
    assert document["preferences"] == {"level": 3}
    assert json.loads(run("privacy", "erase", ALIAS, *SITE, "--json", **both).stdout)["events"] == 1
    again = run("pseudonyms", "rotate", "--json", *SITE, **both)
    assert json.loads(again.stdout) == {}
    assert run("visitor", ALIAS, *SITE, ALIAS_PSEUDONYM_KEYS=KEYS[0]).exit_code == 2


def test_another_services_visitors_stay(run: Run) -> None:
    """Keys are a namespace's: a site beside it that stores aliases goes on as before."""
    run("pseudonyms", "rotate", *SITE, ALIAS_PSEUDONYM_KEYS=",".join(KEYS))
    document = json.loads(run("visitor", ALIAS, "--service=ringtones", "--json").stdout)
    assert document["preferences"] == {"font": "large"}


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        pytest.param("", "oldest first", id="none"),
        pytest.param(KEYS[1], "last keyed with others", id="the new one alone"),
    ],
)
def test_keys_that_do_not_go_on_from_the_old_ones(run: Run, keys: str, problem: str) -> None:
    """Nothing is changed; the message says what is wanted."""
    result = run("pseudonyms", "rotate", *SITE, ALIAS_PSEUDONYM_KEYS=keys)
    assert result.exit_code == 2
    assert problem in error_line(result)
