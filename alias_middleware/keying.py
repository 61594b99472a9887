"""What pseudonym keys make of a site: visitors' keys, check values, and whether aliases are sealed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from alias_middleware.identity import check_value, full_key
from alias_middleware.settings import Settings


def key_of(settings: Settings, namespace: str | None = None) -> Callable[[str], str]:
    """Give what makes visitors' keys, as storages are told them, of aliases, by default the site's."""
    keys = settings.pseudonym_keys
    return partial(full_key, namespace=namespace or settings.namespace, pseudonym_keys=keys) if keys else str


def keyed(settings: Settings, namespace: str | None = None) -> str:
    """Give the check value of the keys in a namespace, the site's own by default; "" without any."""
    return check_value(namespace or settings.namespace, settings.pseudonym_keys)


def namespaces(settings: Settings) -> list[str]:
    """Give the namespaces of a site's visitors: two where its aliases were its own before `attached_on`."""
    return list(dict.fromkeys([settings.namespace, *([settings.service] if settings.attachment else [])]))


def seals_aliases(settings: Settings) -> bool:
    """Tell whether aliases are kept sealed: of visitors known by pseudonym, where offers let them be contacted."""
    offers = bool(settings.short_codes) or settings.light_gallery_days is not None
    return bool(settings.pseudonym_keys and settings.secret_keys) and offers and not settings.statistics_only
