"""The check of each setting's value: what comes out is what the tracker uses. Only `settings` asks here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args
from zoneinfo import ZoneInfo

from alias_middleware.attachment import local_date
from alias_middleware.contact import PRESETS, TERRITORIES, FrequencyCap, Policy, ShortCodes
from alias_middleware.contact.keywords import Verb, first_word
from alias_middleware.errors import SettingsError
from alias_middleware.events import NAME_LIMIT
from alias_middleware.identity import Source
from alias_middleware.secret import secret_bytes

_NAME_LENGTH = 64


def _name(setting: str, value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= _NAME_LENGTH or not value.isprintable():
        raise SettingsError(f"a name of 1 to {_NAME_LENGTH} printable characters", setting=setting)
    return value


def _optional_name(setting: str, value: object) -> str | None:
    return None if value is None else _name(setting, value)


def _keys(setting: str, value: object) -> tuple[bytes, ...]:
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        raise SettingsError("a list of keys, oldest first, made by `alias-middleware keys`", setting=setting)
    if not all(isinstance(key, str | bytes) for key in value):
        raise SettingsError("a list of keys, each a text or bytes", setting=setting)
    return tuple(secret_bytes(key, setting=setting) for key in value)


def _zone(setting: str, value: object) -> str:
    try:
        return ZoneInfo(str(value)).key
    except (KeyError, ValueError, OSError) as error:
        raise SettingsError("the name of a time zone, as Europe/Paris", setting=setting) from error


def _positive(setting: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise SettingsError("a positive number", setting=setting)
    return value


def _short_codes(setting: str, value: object) -> ShortCodes:
    if not isinstance(value, Mapping):
        raise SettingsError("a dict, as {'36123': ShortCode(service=..., offer=...)}", setting=setting)
    return ShortCodes(value)


def _commands(setting: str, value: object) -> Mapping[str, Verb]:
    verbs = get_args(Verb)
    if not isinstance(value, Mapping) or not all(
        isinstance(word, str) and first_word(word) and verb in verbs for word, verb in value.items()
    ):
        raise SettingsError(f"a dict of words to one of {', '.join(verbs)}", setting=setting)
    return {first_word(word): verb for word, verb in value.items()}


def _policy(setting: str, value: object) -> object:
    if not isinstance(value, Policy) and value not in PRESETS:
        raise SettingsError(f"one of {', '.join(PRESETS)}, or a Policy", setting=setting)
    return value


def _days(setting: str, value: object) -> object:
    if value is None:
        raise SettingsError("a whole number of days from 1 up", setting=setting)
    return _optional_days(setting, value)


def _optional_days(setting: str, value: object) -> object:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise SettingsError("a whole number of days from 1 up", setting=setting)
    return value


def _cap(setting: str, value: object) -> object:
    if value is not None and not isinstance(value, FrequencyCap):
        raise SettingsError("a FrequencyCap(messages, period)", setting=setting)
    return value


def _positive_bytes(setting: str, value: object) -> int:
    if int(_positive(setting, value)) < 1:
        raise SettingsError("at least 1 byte", setting=setting)
    return int(_positive(setting, value))


def _count(setting: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise SettingsError("a whole number from 0 up", setting=setting)
    return value


def _flag(setting: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise SettingsError("True or False", setting=setting)
    return value


def _one_of(*choices: str) -> Callable[[str, object], str]:
    def check(setting: str, value: object) -> str:
        if value not in choices:
            raise SettingsError(f"one of {', '.join(map(repr, choices))}", setting=setting)
        return str(value)

    return check


def _texts(setting: str, value: object) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence | frozenset | set):
        raise SettingsError("a list of texts", setting=setting)
    if not all(isinstance(text, str) and text for text in value):
        raise SettingsError("a list of texts", setting=setting)
    return tuple(value)


def _categories(setting: str, value: object) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise SettingsError('categories by pattern, as {"/sport/*": "sport"}', setting=setting)
    if not all(isinstance(text, str) and text for pair in value.items() for text in pair):
        raise SettingsError("patterns and categories are texts, not empty", setting=setting)
    if any(len(category) > NAME_LIMIT for category in value.values()):
        raise SettingsError(f"a category has at most {NAME_LIMIT} characters", setting=setting)
    return dict(value)


def _media_types(setting: str, value: object) -> frozenset[str]:
    return frozenset(text.lower() for text in _texts(setting, value))


def _path(setting: str, value: object) -> Path | None:
    if value is None or isinstance(value, str | Path):
        return Path(value) if value else None
    raise SettingsError("a folder", setting=setting)


def _source(setting: str, value: object) -> Source:
    if not isinstance(value, Source):
        raise SettingsError("a Source, as HeaderAlias('x-acr', '[0-9a-f]{32}')", setting=setting)
    return value


CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "service": _name,
    "reference": _optional_name,
    "attached_on": local_date,
    "source": _source,
    "secret_keys": _keys,
    "pseudonym_keys": _keys,
    "continuity": _flag,
    "zone": _zone,
    "visit_gap": _positive,
    "page_types": _media_types,
    "excluded_paths": _texts,
    "categories": _categories,
    "spool": _path,
    "spool_limit": _positive_bytes,
    "durability": _one_of("process", "power"),
    "purchase_durability": _one_of("process", "power"),
    "writer": _one_of("thread", "external"),
    "writer_interval": _positive,
    "storage_timeout": _positive,
    "raise_errors": _flag,
    "short_codes": _short_codes,
    "sms_commands": _commands,
    "policy": _policy,
    "territory": _one_of(*TERRITORIES),
    "light_gallery_days": _optional_days,
    "frequency_cap": _cap,
    "privacy_signals": _one_of("statistics", "ignore"),
    "statistics_only": _flag,
    "keep_raw_days": _days,
    "keep_profiles_days": _days,
    "desalias_quota": _count,
    "desalias_quota_scope": _one_of("publisher", "service"),
}
"""Each takes the setting's name and the given value, and gives the one that is used or raises SettingsError."""
