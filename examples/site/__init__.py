"""What both example apps share: the content, the settings, and which markup a phone gets."""

import os
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from alias_middleware import Visitor

FOLDER = Path(__file__).parent
TEMPLATES = FOLDER / "templates"
STATIC = FOLDER / "static"

NEWS = {
    "sport": ["The yellow jersey changes shoulders", "Handball: France in the final", "Nantes hold on for a draw"],
    "music": ["Where the summer's festivals are", "A lost song turns up in an attic", "Rock & roll's oldest fan"],
    "weather": ["Sunshine all along the coast", "Snow above 1,800 m", "The wind turns north"],
    "games": ["The snake is twenty-five", "Five games for the train", "A champion of twelve"],
    "cinema": ["What opens on Wednesday", "A short film shot on a phone", "Cannes: the surprise of the jury"],
}
CATEGORIES = list(NEWS)
FONTS = ["small", "medium", "large"]


class Ringtone(NamedTuple):
    sku: str
    name: str
    category: str
    price: Decimal


RINGTONES = {
    tone.sku: tone
    for tone in [
        Ringtone("rt-1", "The stadium sings", "sport", Decimal("2.00")),
        Ringtone("rt-2", "Accordéon & bass", "music", Decimal("3.00")),
        Ringtone("rt-3", "Distant thunder", "weather", Decimal("1.50")),
        Ringtone("rt-4", "Eight bits", "games", Decimal("2.50")),
    ]
}

JINJA: dict[str, Any] = {"autoescape": True, "trim_blocks": True, "lstrip_blocks": True}
"""Template options. Flask by itself escapes .html, but not .wml."""

WML = "text/vnd.wap.wml"
HTML = "text/html"


def settings() -> dict[str, Any]:
    """Give the middleware's settings; the same variables are read by the command `alias-middleware`."""
    return {
        "service": os.environ.get("ALIAS_SERVICE", "vitrine"),
        "storage": os.environ.get("ALIAS_STORAGE", "sqlite:///alias.db"),
        "trusted_gateways": ["127.0.0.1"],  # the simulated gateway; on a real site the operator's addresses
    }


def markup(accept: str) -> tuple[str, str]:
    """Choose template suffix and media type: WML for phones that read nothing newer."""
    accept = accept.lower()
    return ("wml", WML) if WML in accept and "html" not in accept else ("html", HTML)


def menu(profile: Mapping[str, Any]) -> list[str]:
    """Order the categories: favourites first, then those read most."""
    favourites = profile.get("favourites", [])
    return sorted(NEWS, key=lambda name: (name not in favourites, -profile.get(f"read {name}", 0)))


def page(visitor: Visitor, **content: Any) -> dict[str, Any]:
    """Give what every template needs: the visitor, and the page's own content."""
    profile = visitor.profile
    bought = [RINGTONES[sku] for sku in profile.get("ringtones", []) if sku in RINGTONES]
    return {
        "visitor": visitor,
        "name": profile.personal.get("name", ""),
        "font": profile.get("font", "medium"),
        "favourites": profile.get("favourites", []),
        "menu": menu(profile),
        "bought": bought[::-1],
        "news": NEWS,
        "ringtones": list(RINGTONES.values()),
        "fonts": FONTS,
        **content,
    }


def keep_choices(visitor: Visitor, form: Mapping[str, list[str]]) -> None:
    """Keep what a visitor chose on the settings page. WML joins several choices with semicolons."""
    choices = {field: ";".join(values) for field, values in form.items()}
    favourites = choices.get("favourites", "").split(";")
    visitor.profile.personal["name"] = choices.get("name", "").strip()[:40]
    visitor.profile["font"] = choices["font"] if choices.get("font") in FONTS else "medium"
    visitor.profile["favourites"] = [category for category in CATEGORIES if category in favourites]
    granted = "contact" in choices
    if "asked" in choices and granted != visitor.allows("contact"):
        visitor.consent("contact", granted, source="settings page")
