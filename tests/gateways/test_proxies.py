"""nginx and HAProxy as the operator's gateway: from a request to the recorded row, under servers users run."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from tests.gateways.operator import (
    ALIASES,
    FORGERIES,
    HAPROXY,
    KEYS,
    KNOWN,
    NGINX,
    OTHER,
    UNKNOWN,
    UNRECOGNISED,
    VICTIM,
    Answer,
    Operator,
    Serve,
    ask,
    on_uvicorn,
    on_waitress,
    on_wsgiref,
    operating,
)

TWIN = [("wap_network_info", f"mUserAlias:{VICTIM}")]
KEPT = "option http-restrict-req-hdr-names delete"
ALSO_KEPT = "option http-restrict-req-hdr-names preserve"


@pytest.fixture(
    scope="module",
    params=[
        pytest.param((proxy, serve), id=f"{proxy}-{name}")
        for proxy, (name, serve) in product(
            [NGINX, HAPROXY], [("wsgi-waitress", on_waitress), ("asgi-uvicorn", on_uvicorn)]
        )
    ],
)
def operator(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """A gateway with its documented configuration, and two services that share one database."""
    proxy, serve = request.param
    with operating(proxy, serve, tmp_path_factory.mktemp("operator")) as running:
        yield running


def test_phone_the_operator_knows_is_recognised_and_recorded(operator: Operator) -> None:
    """A known phone's page is answered to its alias and is a row of its history and of the figures."""
    before = operator.summary()
    assert operator.browse(KNOWN, "/known") == Answer(200, ALIASES["gallery"])
    assert operator.paths(ALIASES["gallery"])[0] == "/known"
    after = operator.summary()
    assert after.page_views == before.page_views + 1
    assert after.unidentified_page_views == before.unidentified_page_views


def test_phone_the_operator_does_not_know_is_served_and_only_counted(operator: Operator) -> None:
    """An unknown phone's page is answered to nobody in particular and is one unidentified page view."""
    before = operator.summary()
    assert operator.browse(UNKNOWN, "/unknown") == Answer(200, UNRECOGNISED)
    after = operator.summary()
    assert after.page_views == before.page_views
    assert after.unidentified_page_views == before.unidentified_page_views + 1


@pytest.mark.parametrize("forged", FORGERIES)
def test_forged_copy_from_a_known_phone_is_replaced(operator: Operator, forged: list[tuple[str, str]]) -> None:
    """A known phone that claims another's alias stays itself, and nothing is recorded of the other."""
    assert operator.browse(KNOWN, "/forged", forged) == Answer(200, ALIASES["gallery"])
    assert operator.paths(ALIASES["gallery"])[0] == "/forged"
    assert "/forged" not in operator.paths(VICTIM)


@pytest.mark.parametrize("forged", FORGERIES)
def test_forged_copy_from_an_unknown_phone_is_removed(operator: Operator, forged: list[tuple[str, str]]) -> None:
    """An unknown phone that claims somebody's alias stays unrecognised, and nothing is recorded of him."""
    assert operator.browse(UNKNOWN, "/forged", forged) == Answer(200, UNRECOGNISED)
    assert "/forged" not in operator.paths(VICTIM)


@pytest.mark.parametrize("forged", FORGERIES)
def test_forged_copy_past_the_gateway_is_not_believed(operator: Operator, forged: list[tuple[str, str]]) -> None:
    """A phone that reaches the site itself, not by the gateway, is nobody whatever it claims."""
    headers = [("Host", "gallery.test"), *forged]
    assert ask(UNKNOWN, operator.sites["gallery"], "/past", headers) == Answer(200, UNRECOGNISED)
    assert "/past" not in operator.paths(VICTIM)


def test_one_phone_has_another_alias_at_another_service(operator: Operator) -> None:
    """Two services see one phone under two aliases, and neither records the other's pages."""
    for service, alias in ALIASES.items():
        assert operator.browse(KNOWN, f"/at-{service}", service=service) == Answer(200, alias)
    assert operator.paths(ALIASES["gallery"], service="gallery")[0] == "/at-gallery"
    assert operator.paths(ALIASES["games"], service="games") == ["/at-games"]
    assert operator.paths(ALIASES["gallery"], service="games") == []
    assert operator.summary("games").visitors == 1


def test_two_phones_are_two_visitors(operator: Operator) -> None:
    """Phones with different aliases are different visitors, each with the pages of his own."""
    operator.browse(KNOWN, "/of-one")
    operator.browse(OTHER, "/of-the-other")
    assert operator.paths(ALIASES["gallery"])[0] == "/of-one"
    assert operator.paths(VICTIM) == ["/of-the-other"]


@pytest.mark.parametrize("forged", FORGERIES)
def test_key_of_the_gateway_is_no_use_to_a_phone(operator: Operator, forged: list[tuple[str, str]]) -> None:
    """A phone that learnt the gateway's key cannot send it: the gateway takes it away, or nobody asks for it."""
    headers = [*forged, ("x-gateway-key", KEYS["gallery"]), ("x_gateway_key", KEYS["gallery"])]
    assert operator.browse(UNKNOWN, "/with-the-key", headers) == Answer(200, UNRECOGNISED)
    assert "/with-the-key" not in operator.paths(VICTIM)


@pytest.mark.parametrize(
    ("serve", "asks_for_key", "unknown", "known"),
    [
        pytest.param(on_waitress, False, UNRECOGNISED, ALIASES["gallery"], id="waitress drops it"),
        pytest.param(on_uvicorn, False, UNRECOGNISED, ALIASES["gallery"], id="uvicorn keeps it apart"),
        pytest.param(on_wsgiref, False, VICTIM, UNRECOGNISED, id="wsgiref believes it"),
        pytest.param(on_wsgiref, True, UNRECOGNISED, UNRECOGNISED, id="wsgiref with the key does not"),
    ],
)
def test_twin_that_haproxy_keeps_by_default(
    serve: Serve, asks_for_key: bool, unknown: str, known: str, tmp_path: Path
) -> None:
    """Without its option HAProxy passes the underscore twin on, and it is for the server behind to drop it.

    Where that believes it, the key that goes only with the gateway's own header stops it.
    """

    def keep_underscores(configuration: str) -> str:
        assert KEPT in configuration
        return configuration.replace(KEPT, ALSO_KEPT)

    settings: dict[str, dict[str, Any]] = {**HAPROXY.settings} if asks_for_key else {name: {} for name in ALIASES}
    with operating(HAPROXY, serve, tmp_path, settings=settings, edit=keep_underscores) as operator:
        assert operator.browse(UNKNOWN, "/twin", TWIN) == Answer(200, unknown)
        assert operator.browse(KNOWN, "/twin", TWIN) == Answer(200, known)
        assert ("/twin" in operator.paths(VICTIM)) == (unknown == VICTIM)
