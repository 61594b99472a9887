"""Sealed aliases: who is known by pseudonym can be written to while a window or his consent lasts, not longer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from alias_middleware.errors import SettingsError
from alias_middleware.sealing import CONSENT, NO_END, Seal, Sealer, Sealing, fold, sealed_at, window_of
from alias_middleware.transport import Outgoing
from tests.support.site import ALIAS, OTHER_ALIAS
from tests.support.sms import PULL, SUBSCRIPTION, Shop
from tests.test_rotation import rotate

KEYS = ["pseudonym key number 1", "pseudonym key number 2"]
SECRETS = ["a secret of sixteen bytes or more", "another secret of sixteen bytes"]
ASKED: dict[str, Any] = {"pseudonym_keys": KEYS[:1], "secret_keys": SECRETS[:1]}
WINDOW = timedelta(days=60)


@pytest.fixture(params=["memory", "sqlite"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    made = Shop(request.param, tmp_path, **ASKED)
    made.tracker.contact.declare_no_prior_optouts()
    yield made
    made.tracker.close()


def kept(shop: Shop, alias: str = ALIAS) -> list[str]:
    """Why a visitor's alias is kept at the shop's present moment, told by what is unsealed."""
    tracker = shop.tracker
    tracker.flush()
    evidence = tracker.storage.outbox().evidence_of("sonneries", tracker.key_of(alias))
    sealer = Sealer("sonneries", [key.encode() for key in SECRETS], [key.encode() for key in KEYS[:1]])
    now = shop.clock() // 1000
    return [sealer.unseal(seal.sealed, evidence.key) or "?" for seal in evidence.seals if sealed_at([seal], now)]


def consent(shop: Shop, granted: bool) -> None:
    with shop.tracker.visitor(ALIAS) as visitor:
        visitor.consent("contact", granted)


def test_a_campaign_reaches_visitors_known_by_pseudonym(shop: Shop) -> None:
    """The gateway gets the alias; the campaign's rows have the visitor key alone."""
    shop.write(ALIAS, "MENU")
    shop.buy(ALIAS)
    campaign = shop.campaign()
    assert campaign.preview().send == 1
    assert campaign.run(shop.gateway).states == {"sent": 1}
    assert shop.gateway.receivers() == [ALIAS]
    key = shop.tracker.key_of(ALIAS)
    outbox = shop.tracker.storage.outbox()
    (message,) = outbox.dispatches(campaign._id, "sent", "", 9)
    assert message.key == key != ALIAS


def test_whose_alias_is_not_kept_is_refused(shop: Shop) -> None:
    """Consent and window hold, but another's keys sealed the alias: preview and run say why."""
    shop.write(ALIAS, "MENU")
    shop.buy(ALIAS)
    campaign = shop.campaign()
    shop.tracker.contact.__dict__["_sealer"] = Sealer("sonneries", [b"x" * 16], [key.encode() for key in KEYS[:1]])
    assert campaign.run(shop.gateway).reasons == {"no_alias": 1}
    assert shop.gateway.sent == []


def test_no_error_names_anybody(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """A gateway that fails with the receiver in its mouth: neither the log nor a row repeats it."""
    caplog.set_level("DEBUG")
    shop.write(ALIAS, "MENU")
    shop.buy(ALIAS)

    def fail(message: Outgoing) -> None:
        raise OSError(f"no route to {message.receiver}")

    shop.gateway.broken = fail
    assert shop.campaign().run(shop.gateway).states == {"uncertain": 1}
    (row,) = shop.campaign().uncertain()
    evidence = shop.tracker.storage.outbox().evidence_of("sonneries", shop.tracker.key_of(ALIAS))
    for said in (caplog.text, repr(row), row.reason, repr(evidence), repr(evidence.seals)):
        assert ALIAS not in said


def test_without_secret_keys_nobody_is_written_to(tmp_path: Path) -> None:
    """Nothing is sealed then; a campaign says what is missing."""
    shop = Shop("memory", tmp_path, pseudonym_keys=KEYS[:1])
    shop.write(ALIAS, "MENU")
    with pytest.raises(SettingsError) as raised:
        shop.campaign()
    assert raised.value.setting == "secret_keys"
    shop.tracker.close()


Deed = Callable[[Shop], object]


@pytest.mark.parametrize(
    ("deeds", "number"),
    [
        pytest.param([lambda shop: shop.write(ALIAS, "MENU")], 1, id="an SMS-MO to an offer"),
        pytest.param([lambda shop: shop.write(ALIAS, "MENU", "36999")], 0, id="one to no offer"),
        pytest.param([lambda shop: shop.buy(ALIAS)], 0, id="a purchase that opens no window"),
        pytest.param([lambda shop: consent(shop, granted=True)], 1, id="consent"),
        pytest.param([lambda shop: consent(shop, granted=False)], 0, id="consent refused"),
        pytest.param(
            [lambda shop: consent(shop, granted=True), lambda shop: consent(shop, granted=False)],
            0,
            id="consent withdrawn",
        ),
        pytest.param(
            [lambda shop: shop.write(ALIAS, "MENU"), lambda shop: consent(shop, granted=True)], 2, id="both"
        ),
        pytest.param(
            [lambda shop: shop.write(ALIAS, "MENU"), lambda shop: shop.write(ALIAS, "STOP")], 0, id="STOP"
        ),
        pytest.param(
            [
                lambda shop: shop.write(ALIAS, "JEU", "36125"),
                lambda shop: consent(shop, granted=True),
                lambda shop: shop.write(ALIAS, "STOPALL"),
            ],
            0,
            id="STOPALL",
        ),
        pytest.param(
            [
                lambda shop: shop.write(ALIAS, "MENU"),
                lambda shop: shop.write(ALIAS, "STOP"),
                lambda shop: shop.write(ALIAS, "MENU"),
            ],
            1,
            id="a message after STOP",
        ),
        pytest.param(
            [lambda shop: shop.write(ALIAS, "OUI", SUBSCRIPTION)], 1, id="a subscription, whose window follows"
        ),
        pytest.param(
            [
                lambda shop: shop.write(ALIAS, "OUI", SUBSCRIPTION),
                lambda shop: shop.write(ALIAS, "STOP", SUBSCRIPTION),
            ],
            1,
            id="its end by STOP",
        ),
        pytest.param(
            [lambda shop: shop.tracker.unsubscribed(ALIAS, "premium_push", at=shop.now)], 1, id="its end elsewhere"
        ),
        pytest.param(
            [
                lambda shop: consent(shop, granted=True),
                lambda shop: shop.tracker.contact.import_suppressions([ALIAS]),
            ],
            0,
            id="an opt-out taken over",
        ),
        pytest.param(
            [lambda shop: shop.write(ALIAS, "MENU"), lambda shop: shop.tracker.privacy.erase(ALIAS)],
            0,
            id="erasure",
        ),
    ],
)
def test_what_keeps_an_alias_and_what_lets_it_go(shop: Shop, deeds: list[Deed], number: int) -> None:
    """A window's opening or consent seals it; what closes the last of them leaves nothing."""
    for deed in deeds:
        deed(shop)
        shop.tracker.flush()
        shop.clock.advance(minutes=1)
    assert kept(shop) == [ALIAS] * number
    assert kept(shop, OTHER_ALIAS) == []


@pytest.mark.parametrize(
    ("code", "text", "days"),
    [
        pytest.param(PULL, "MENU", 60, id="60 days after an SMS-MO"),
        pytest.param(SUBSCRIPTION, "STOP", 31, id="31 days after the end of a subscription"),
    ],
)
def test_a_window_runs_out(shop: Shop, code: str, text: str, days: int) -> None:
    """The alias is there to its last moment; a further message meanwhile does not move it."""
    if code == SUBSCRIPTION:
        shop.write(ALIAS, "OUI", code)
        shop.clock.advance(minutes=1)
    shop.write(ALIAS, text, code)
    shop.clock.advance(days=days, minutes=-65)  # the clocks went forward meanwhile: local time counts
    assert kept(shop) == [ALIAS]
    shop.clock.advance(minutes=5)
    assert kept(shop) == []


def test_light_gallery_is_opened_by_a_purchase(tmp_path: Path) -> None:
    """Where the publisher knows its window and has identifiant commun."""
    shop = Shop("memory", tmp_path, **ASKED, light_gallery_days=30, reference="sonneries")
    shop.buy(ALIAS)
    assert kept(shop) == [ALIAS]
    shop.clock.advance(days=31)
    assert kept(shop) == []
    shop.tracker.close()


def test_keys_are_rotated_while_aliases_are_sealed(tmp_path: Path) -> None:
    """Secret keys and pseudonym keys alike: the campaign reaches the visitor under the new ones."""
    shop = Shop("sqlite", tmp_path, **ASKED)
    shop.write(ALIAS, "MENU")
    shop.buy(ALIAS)
    shop.tracker.contact.declare_no_prior_optouts()
    shop.tracker.close()
    rotate(tmp_path, KEYS)
    shop = Shop("sqlite", tmp_path, pseudonym_keys=KEYS, secret_keys=SECRETS)
    assert shop.campaign().run(shop.gateway).states == {"sent": 1}
    assert shop.gateway.receivers() == [ALIAS]
    shop.tracker.close()


@pytest.mark.parametrize("end", ["erasure", "window"])
def test_no_byte_is_left(tmp_path: Path, end: str, caplog: pytest.LogCaptureFixture) -> None:
    """After erasure, or after windows ran out and a purge: of the alias never, of its sealed form no more."""
    caplog.set_level("DEBUG")
    shop = Shop("sqlite", tmp_path, **ASKED)
    shop.write(ALIAS, "MENU")
    shop.write(OTHER_ALIAS, "MENU")
    evidence = shop.tracker.storage.outbox().evidence_of("sonneries", shop.tracker.key_of(ALIAS))
    sealed = [seal.sealed for seal in evidence.seals]
    assert [len(each) > 99 for each in sealed] == [True]
    assert any(sealed[0] in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    if end == "erasure":
        assert shop.tracker.privacy.erase(ALIAS)["sealed_aliases"] == 1
    else:
        shop.clock.now += WINDOW + timedelta(days=1)
        assert shop.tracker.privacy.purge(dry_run=True)["sealed_aliases"] == 2
        assert shop.tracker.privacy.purge()["sealed_aliases"] == 2
    shop.tracker.close()
    assert ALIAS not in caplog.text
    for path in filter(Path.is_file, tmp_path.rglob("*")):
        content = path.read_bytes()
        assert ALIAS.encode() not in content
        assert sealed[0] not in content, path


_OPEN = Sealing("k", 5, 5, window_of("s", "o"), 90, b"first")


@pytest.mark.parametrize(
    ("said", "kept_as"),
    [
        pytest.param([_OPEN], Seal(5, 90, b"first"), id="begun"),
        pytest.param(
            [_OPEN, Sealing("k", 6, 6, "s:o", 95, b"x")], Seal(5, 90, b"first"), id="goes on as it began"
        ),
        pytest.param([_OPEN, Sealing("k", 6, 6, "s:o", 95, b"x", True)], Seal(6, 95, b"x"), id="renewed"),
        pytest.param([_OPEN, Sealing("k", 90, 90, "s:o", 99, b"x")], Seal(90, 99, b"x"), id="begun again"),
        pytest.param([_OPEN, Sealing("k", 7, 7, "s:", 7)], Seal(7, 7, b""), id="ended with others of the service"),
        pytest.param([_OPEN, Sealing("k", 7, 7, "", 7), _OPEN], Seal(7, 7, b""), id="come again after its end"),
        pytest.param([_OPEN, Sealing("k", 7, 7, "t:", 7)], Seal(5, 90, b"first"), id="another service's end"),
        pytest.param([_OPEN, Sealing("k", 4, 4, "", 4)], Seal(5, 90, b"first"), id="an end of before"),
    ],
)
def test_what_was_said_later_holds(said: list[Sealing], kept_as: Seal) -> None:
    """One reason's beginning and end, in whatever order they come."""
    seals: dict[str, Seal] = {}
    for each in said:
        seals = fold(seals, each)
    assert seals == {"s:o": kept_as}


def test_an_end_is_remembered_against_a_late_beginning() -> None:
    """Consent that was withdrawn stays so when the word that gave it comes out of another spool."""
    seals = fold({}, Sealing("k", 7, 7, CONSENT, 7))
    assert fold(seals, Sealing("k", 5, 5, CONSENT, NO_END, b"x", True)) == seals


def test_only_the_visitors_own_alias_is_unsealed() -> None:
    """What lies in another's row, was sealed by others or is no seal at all gives nothing."""
    sealer = Sealer("sonneries", [b"s" * 16], [b"p" * 16])
    sealed = sealer.seal(ALIAS, 0)
    key = Sealer("sonneries", [b"n" * 16, b"s" * 16], [b"p" * 16])
    from alias_middleware.identity import visitor_key

    own = visitor_key(ALIAS, "sonneries", [b"p" * 16])
    assert sealer.unseal(sealed, own) == key.unseal(sealed, own) == ALIAS
    assert sealer.unseal(sealed, visitor_key(OTHER_ALIAS, "sonneries", [b"p" * 16])) is None
    assert Sealer("elsewhere", [b"s" * 16], [b"p" * 16]).unseal(sealed, own) is None
    assert sealer.unseal(b"nothing", own) is None
