"""The visitor outside a request, and what he shows of himself."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from alias_middleware import Item
from alias_middleware.spool import Spool
from tests.support.site import ALIAS, BEGINNING, HTML, Site

ORDER = [Item("rt-42", "Sonnerie", category="music", price=Decimal("3.00"))]


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    """A site in memory, used from outside a request."""
    return make_site("wsgi")


def test_a_block_commits_at_its_end(site: Site) -> None:
    """With `with`, changes are made together when the block ends; events are recorded at once."""
    with site.tracker.visitor(ALIAS) as visitor:
        visitor.profile["font"] = "large"
        visitor.profile.personal["name"] = "Ada"
        assert visitor.track("import")
        assert site.tracker.privacy.export(ALIAS)["preferences"] == {}
        assert site.counters()["spooled"] == 1
    stored = site.stored()
    assert (stored["preferences"], stored["personal"]) == ({"font": "large"}, {"name": "Ada"})


def test_a_block_that_raises_changes_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its field operations are left out; events were recorded, and a purchase is made durable all the same."""
    site.settings["purchase_durability"] = "power"
    synced: list[int] = []
    monkeypatch.setattr(Spool, "sync", lambda self: synced.append(1))

    def fail_halfway() -> None:
        with site.tracker.visitor(ALIAS) as visitor:
            visitor.profile["font"] = "large"
            visitor.purchase("CMD-1", ORDER, currency="EUR")
            raise LookupError

    with pytest.raises(LookupError):
        fail_halfway()
    assert synced == [1]
    stored = site.stored()
    assert (stored["preferences"], len(stored["history"])) == ({}, 1)


def test_without_a_block_every_call_commits(site: Site) -> None:
    """What one call changed, anybody sees when it returns, and the visitor sees what others changed."""
    one, other = site.tracker.visitor(ALIAS), site.tracker.visitor(ALIAS)
    one.profile["font"] = "large"
    assert other.profile["font"] == "large"
    assert other.profile.increment("n") == 1
    assert one.profile.increment("n") == 2
    one.consent("contact", True, source="call centre")
    assert site.stored()["preferences"] == {"font": "large", "n": 2}
    assert site.tracker.visitor(ALIAS).allows("contact")


@pytest.mark.parametrize("alias", ["", "12", "31452292734٣", "314522927347\n", None, 314522927347])
def test_what_is_no_alias_is_refused(site: Site, alias: Any) -> None:
    """The error does not repeat the value."""
    with pytest.raises(ValueError, match="no alias") as refused:
        site.tracker.visitor(alias)
    assert not alias or str(alias) not in str(refused.value)


def test_it_shows_no_alias(site: Site) -> None:
    """Neither `repr` nor the name for frameworks tells who it is."""
    visitor = site.tracker.visitor(ALIAS)
    assert (repr(visitor), visitor.display_name) == ("<Visitor recognised>", "visitor")
    assert (visitor.identity, visitor.is_authenticated) == (ALIAS, True)


@pytest.mark.parametrize(
    "look",
    [
        pytest.param(bool, id="bool"),
        *(
            pytest.param(lambda visitor, name=name: getattr(visitor, name), id=name)
            for name in ("alias", "status", "flags", "profile", "consents", "identity", "is_authenticated")
        ),
        pytest.param(lambda visitor: visitor.allows("contact"), id="allows"),
        pytest.param(lambda visitor: visitor.history(), id="history"),
        pytest.param(lambda visitor: visitor.consent("contact", True), id="consent"),
    ],
)
def test_every_look_makes_an_answer_personal(site: Site, look: Callable[[Any], object]) -> None:
    """Whatever tells one visitor from another makes the answer private."""
    site.handler = lambda visitor, request: (200, HTML, [b"x", b""][: look(visitor) is None or 1])
    assert site.get().all("Vary") == ["wap-network-info"]


def test_purposes(site: Site) -> None:
    """There are three; measure and personalise hold until he says no, contact until he says yes."""
    visitor = site.tracker.visitor(ALIAS)
    assert [visitor.allows(purpose) for purpose in ("measure", "personalise", "contact")] == [True, True, False]
    visitor.consent("personalise", False, source="settings page")
    said = visitor.consents["personalise"]
    assert (said.granted, said.time, said.source) == (False, BEGINNING, "settings page")
    for call in (visitor.allows, lambda purpose: visitor.consent(purpose, True)):
        with pytest.raises(ValueError, match="measure, personalise, contact"):
            call("everything")
