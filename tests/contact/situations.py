"""Visitors to judge: one who may be sent marketing at noon on a Tuesday, and what a case changes about him."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from alias_middleware.contact import Facts, Mo, Suppression, policy
from alias_middleware.local_time import to_micros

PARIS = ZoneInfo("Europe/Paris")
OPERATOR = policy("fr-operator")
NOON = datetime(2026, 3, 3, 12, tzinfo=PARIS)  # a Tuesday
NOW_US = to_micros(NOON)
DAY_US = 24 * 3600 * 1_000_000
WEEK = timedelta(days=7)


def ago(days: float) -> int:
    return NOW_US - round(days * DAY_US)


def facts(**changes: Any) -> Facts:
    """A client who wrote ten days ago and may be sent marketing; what a case is about is changed."""
    usual: dict[str, Any] = {
        "service": "sonneries",
        "offer": "light_pull",
        "kind": "marketing",
        "sender": "36123",
        "zone": "Europe/Paris",
        "messages": (Mo(ago(10)),),
        "client": True,
    }
    return Facts(**usual | changes)


def stop(reason: Any, days: float, *, service: str | None = "sonneries") -> Suppression:
    return Suppression(scope="service", reason=reason, channel="sms", time_us=ago(days), service=service)


def opted_out(days: float, reason: Any = "stop") -> Suppression:
    return Suppression(scope="marketing", reason=reason, channel="sms", time_us=ago(days))


PUSH: dict[str, Any] = {"offer": "premium_push", "messages": (), "unsubscribed_us": (ago(10),)}
GALLERY: dict[str, Any] = {
    "offer": "light_gallery",
    "messages": (),
    "gallery_seen_us": ago(5),
    "common_id": True,
    "light_gallery_days": 30,
}
SERVICE: dict[str, Any] = {"kind": "transactional", "sender": "38123"}
REPLY: dict[str, Any] = {"kind": "reply", "offer": None, "messages": (), "client": False}
