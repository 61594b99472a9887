"""Logs and counters name nobody: whatever a request claims, whatever the app keeps, whatever fails."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from alias_middleware import Item, Visitor
from alias_middleware.errors import StorageError
from alias_middleware.identity import Pairs, Recognition, WapNetworkInfo
from alias_middleware.storage.base import Batch, Outcome
from alias_middleware.storage.memory import MemoryStorage
from tests.support.logs import told
from tests.support.site import ALIAS, GATEWAY, HTML, OTHER_ALIAS, STRANGER, Given, Seen, Site
from tests.support.storages import FailingStorage, down

FORGED, RIVAL = "777700000001", "777700000002"
PHONE, TYPED_PHONE, NAME = "33677236335", "06 77 23 63 35", "Zoé Lavandier"
UNUSABLE, NONSENSE = "7c0ffee", "utter nonsense"
PASSWORD = "open sesame"
ORDER = "CMD-1042"
SECRETS = (
    ALIAS, OTHER_ALIAS, FORGED, RIVAL, PHONE, TYPED_PHONE, NAME, "Lavandier", UNUSABLE, NONSENSE, PASSWORD, ORDER,
)  # fmt: skip

ASKED = {
    "OK": (GATEWAY, f"mUserAlias:{ALIAS}"),
    "UNTRUSTED": (STRANGER, f"mUserAlias:{FORGED},mUserMsisdn:{PHONE}"),
    "CONFLICT": (GATEWAY, f"mUserAlias:{OTHER_ALIAS},mUserAlias:{RIVAL}"),
    "BAD_VALUE": (GATEWAY, f"mUserAlias:{UNUSABLE}"),
    "MALFORMED": (GATEWAY, NONSENSE),
    "NO_ALIAS": (GATEWAY, f"mUserMsisdn:{PHONE}"),
}
"""Requests by what is made of each: who they come from, and what they say."""


class AppError(Exception):
    """What the app raises, with all it knows."""


def app(visitor: Visitor, request: Seen) -> Given:
    """Use all there is, wrongly too; fail at the end, at once or in the body, where the path says so."""
    visitor.profile.personal.update(name=NAME, phone=TYPED_PHONE, notes=[NAME])
    visitor.profile.personal["notes"].append(object())  # found to be no JSON at the commit
    visitor.profile["last_order"] = ORDER
    visitor.consent("contact", True, source=NAME)
    visitor.track("subscribe", phone=TYPED_PHONE)
    visitor.purchase(ORDER, [Item("rt-42", NAME, price=Decimal("3.00"))], currency="EUR")
    visitor.refund(ORDER)
    visitor.history()
    if request.path == "/broken":
        raise AppError(*SECRETS)
    return 200, HTML, _chunks(visitor, request)


def _chunks(visitor: Visitor, request: Seen) -> Iterator[bytes]:
    yield b"x"
    visitor.profile.personal["name"] = NAME.upper()
    if request.path == "/cut":
        raise AppError(*SECRETS)


class Choking(MemoryStorage):
    """Raises an error that tells all when it is to store an event."""

    def apply(self, batch: Batch) -> Outcome:
        if batch.entries:
            raise RuntimeError(*SECRETS)
        return super().apply(batch)


class Tripping(WapNetworkInfo):
    """A source with a bug, whose error quotes what it was to read."""

    def read(self, pairs: Pairs) -> Recognition:
        raise RuntimeError(list(pairs))


def _corrupt(site: Site) -> None:
    site.settings["storage"] = f"sqlite:///{site.folder}/alias.db"
    for name in ("alias.db", "alias.db-preferences"):
        (site.folder / name).write_bytes(f"{ALIAS} {NAME} ".encode() * 400)


def _no_spool(site: Site) -> None:
    Path(site.settings["spool"]).write_text(ALIAS)


def _given(**settings: Callable[[], Any]) -> Callable[[Site], None]:
    return lambda site: site.settings.update({name: make() for name, make in settings.items()})


@pytest.mark.parametrize(
    "fail",
    [
        pytest.param(_given(), id="nothing"),
        pytest.param(_given(storage=lambda: FailingStorage(down())), id="storage is down"),
        pytest.param(_given(storage=lambda: FailingStorage(RuntimeError(*SECRETS))), id="storage has a bug"),
        pytest.param(_given(storage=Choking), id="storage chokes on events"),
        pytest.param(_given(source=Tripping), id="source has a bug"),
        pytest.param(_corrupt, id="database is corrupt"),
        pytest.param(_no_spool, id="spool cannot be made"),
    ],
)
@pytest.mark.parametrize("edge", ["wsgi", "asgi"])
def test_no_log_names_anybody(
    edge: str,
    fail: Callable[[Site], None],
    make_site: Callable[..., Site],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No line, argument or traceback of any logger does, at DEBUG. What the app raises is the server's to log."""
    caplog.set_level(logging.DEBUG)
    site = make_site(edge, raise_errors=False, gateway_secret=("X-Gate", PASSWORD))
    fail(site)
    site.handler = app
    for peer, header in ASKED.values():
        for path in ("/", "/broken", "/cut"):
            with suppress(AppError):
                site.get(path, None, peer=peer, headers=[("wap-network-info", header), ("x-gate", PASSWORD)])
    site.get(headers=[("wap-network-info", f"mUserAlias:{FORGED}"), ("x-gate", "open barley")])
    with suppress(StorageError, OSError, RuntimeError):
        site.tracker.drain()
    with monkeypatch.context() as mended:
        mended.setattr(site.tracker.storage, "failure", None, raising=False)
        counters: Any = site.tracker.counters()
    site.close()
    assert len(caplog.records) > 3
    assert [secret for secret in SECRETS for record in caplog.records if secret in told(record)] == []
    assert [secret for secret in SECRETS if secret in repr(counters)] == []
    if "source" not in site.settings:
        assert counters["identity"].keys() >= ASKED.keys()
