"""What is left out of a struct's `repr` is left out wherever an error report shows the struct."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module

import msgspec
import pytest

import alias_middleware
from alias_middleware.discreet import Discreet
from alias_middleware.exchange import Request
from alias_middleware.identity import Recognition, Status
from alias_middleware.profile import StoredProfile
from tests.support.site import ALIAS, GATEWAY

REQUEST = Request([(b"wap-network-info", f"mUserAlias:{ALIAS}".encode())], GATEWAY, "GET", "/", False)


@pytest.mark.parametrize(
    "held",
    [
        pytest.param(Recognition(Status.OK, ALIAS), id="who is asking"),
        pytest.param(StoredProfile(b"{}", ALIAS.encode()), id="personal data"),
        pytest.param(REQUEST, id="a request's headers"),
    ],
)
def test_rich_shows_no_more_than_the_repr(held: object) -> None:
    """It asks a struct for its fields before it asks for its `repr`."""
    pretty = pytest.importorskip("rich.pretty")
    assert pretty.pretty_repr(held) == repr(held)


def test_every_struct_with_a_repr_of_its_own_is_discreet() -> None:
    """Whoever writes one had something to leave out."""
    for module in pkgutil.walk_packages(alias_middleware.__path__, "alias_middleware."):
        with suppress(ImportError):  # an extra that is not installed
            import_module(module.name)
    found = {each for each in _kinds(msgspec.Struct) if each.__module__.startswith("alias_middleware.")}
    speaking = {each for each in found if each.__repr__ is not msgspec.Struct.__repr__}
    assert len(speaking) > 10
    assert {each for each in speaking if not issubclass(each, Discreet)} == set()


def _kinds(base: type[msgspec.Struct]) -> Iterator[type[msgspec.Struct]]:
    for each in base.__subclasses__():
        yield each
        yield from _kinds(each)
