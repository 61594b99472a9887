"""The reference pages that are made from the code: settings, commands, public names, figures, rules, errors."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from functools import cached_property
from importlib import import_module
from types import MappingProxyType
from typing import Any

import click
import msgspec

from alias_middleware import errors
from alias_middleware.contact import OFFERS, RULES, TERRITORIES
from alias_middleware.errors import AliasError
from alias_middleware.settings import Settings
from alias_middleware.statistics.definitions import DEFINITIONS, SUMMARY
from tests.docs import openings
from tests.docs.prose import attributes, docstring, said_of_attributes, signature, table
from tests.support.public import PUBLIC, REACHED

NOTE = "<!-- Made from the code: change that, then run the tests with ALIAS_WRITE_DOCS=1. -->\n\n"


def settings() -> str:
    """Every setting: name, default, type, meaning."""
    said = attributes(Settings)
    rows = [
        (f"`{field.name}`", _default_of(field), said.pop(field.name, ""))
        for field in msgspec.structs.fields(Settings)
    ]
    missing = [name for name, _, meaning in rows if not meaning]
    if missing or said:
        raise ValueError(f"settings without a word, or words without a setting: {missing or list(said)}")
    return openings.SETTINGS + table(("setting", "default", "meaning"), rows)


def _default_of(field: Any) -> str:
    if field.required:
        return "required"
    value = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    if isinstance(value, frozenset):
        return ", ".join(f"`{each}`" for each in sorted(value))
    if isinstance(value, dict | MappingProxyType):
        return ", ".join(f"`{name}`: `{each}`" for name, each in value.items()) or "none"
    if isinstance(value, str | int | float | bool):
        return f"`{value!r}`"
    return f"`{type(value).__name__}()`" if value else "none"


_HEADINGS = ("option", "default", "meaning")
_SHARED = ("--storage", "--service", "--reference", "--attached-on", "--spool", "--zone", "--app", "--json")


def commands() -> str:
    """Every command with its options, as `--help` has them."""
    from alias_middleware.cli.commands import standalone

    group = standalone()
    shared = {each.opts[0]: each for each in group.commands["campaign"].commands["preview"].params}  # type: ignore[attr-defined]
    said = [
        openings.COMMANDS,
        "## Options of many commands\n",
        table(_HEADINGS, [_option(shared[name]) for name in _SHARED]),
    ]
    said += [_command(context) for context in _contexts(group, None, "alias-middleware")]
    return "\n".join(said)


def _contexts(command: click.Command, parent: click.Context | None, name: str) -> Iterator[click.Context]:
    context = click.Context(command, info_name=name, parent=parent)
    yield context
    if isinstance(command, click.Group):
        for each in sorted(command.commands):
            yield from _contexts(command.commands[each], context, each)


def _command(context: click.Context) -> str:
    command = context.command
    if not command.help:
        raise ValueError(f"{context.command_path} is undocumented")
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    text = f"## {context.command_path}\n\n`{usage}`\n\n{inspect.cleandoc(command.help)}\n"
    options = [each for each in command.params if isinstance(each, click.Option)]
    rows = [_option(each) for each in options if each.opts[0] not in _SHARED]
    if rows:
        text += f"\n{table(_HEADINGS, rows)}"
    if shared := [f"`{each.opts[0]}`" for each in options if each.opts[0] in _SHARED]:
        text += f"\n{'And' if rows else 'Options:'} {', '.join(shared)}.\n"
    return text


def _option(option: click.Option) -> tuple[str, str, str]:
    names = ", ".join(f"`{name}`" for name in [*option.opts, *option.secondary_opts])
    kinds = "" if option.is_flag else f" `{_metavar(option)}`"
    environment = f" Environment: `{option.envvar}`." if option.envvar and option.show_envvar else ""
    default = "required" if option.required else f"`{option.default}`" if option.show_default else ""
    return f"{names}{kinds}", default, f"{_with_stop(option.help)}{environment}"


def _with_stop(text: str | None) -> str:
    return text or "" if not text or text.endswith((".", "/", "]")) else f"{text}."


def _metavar(option: click.Option) -> str:
    if option.metavar:
        return option.metavar
    if isinstance(option.type, click.Choice):
        return " / ".join(map(str, option.type.choices))
    return option.type.name.upper()


def names() -> str:
    """Every public name, with the methods of classes."""
    said = [openings.NAMES]
    for module, listed in [*PUBLIC.items(), *REACHED.items()]:
        said.append(f"## `{module}`\n")
        said += [_name(f"{module}.{name}", getattr(import_module(module), name), name) for name in listed]
    return "\n".join(_once(said))


def _once(lines: list[str]) -> list[str]:
    """Leave out what stands there already: some names have two homes."""
    return [line for place, line in enumerate(lines) if line not in lines[:place]]


def _name(path: str, thing: Any, name: str) -> str:
    if inspect.isclass(thing):
        return _class(thing, name)
    if callable(thing) and not hasattr(thing, "_get_current_object"):
        return f"### `{name}{signature(thing)}`\n\n{docstring(thing)}\n"
    return f"### `{name}`\n\n{_VALUES[path]}\n"


_VALUES = {
    "alias_middleware.current_visitor": "A context variable: `current_visitor.get()` is the visitor of "
    "the request that the current context serves.",
    "alias_middleware.flask.current_visitor": "The visitor of the request being served.",
    "alias_middleware.wsgi.ENVIRON_KEY": 'Where the app finds its visitor: `environ["alias_middleware.visitor"]`.',
    "alias_middleware.asgi.SCOPE_KEY": 'Where the app finds its visitor: `scope["alias_middleware.visitor"]`.',
}


def _class(thing: type, name: str) -> str:
    text = f"### `{name}`\n\n{docstring(thing)}\n"
    for attribute, said in said_of_attributes(thing).items():
        text += f"\n**`{attribute}`** {said}\n"
    for member, value in _members(thing):
        if isinstance(value, property | cached_property):
            text += f"\n**`{member}`** {docstring(value)}\n"
        else:
            text += f"\n**`{member}{signature(value)}`** {docstring(value)}\n"
    return text


def _members(thing: type) -> Iterator[tuple[str, Any]]:
    """Give a class's own methods and properties, those it inherits from our classes included."""
    ours: dict[str, Any] = {}
    for base in reversed(thing.__mro__):
        if base.__module__.startswith("alias_middleware"):
            ours.update(vars(base))
    for member, value in ours.items():
        plain = getattr(value, "__func__", value)
        if not member.startswith("_") and (
            isinstance(value, property | cached_property) or inspect.isfunction(plain)
        ):
            yield member, plain


def figures() -> str:
    """Every figure's definition."""
    tables: dict[str, list[tuple[str, str]]] = {}
    for name, definition in DEFINITIONS.items():
        if name not in SUMMARY:
            group, _, column = name.rpartition(".")
            tables.setdefault(group or "every answer", []).append((f"`{column}`", definition))
    said = [
        openings.FIGURES,
        table(("figure", "definition"), [(f"`{name}`", SUMMARY[name]) for name in SUMMARY]),
    ]
    said += [f"## {group}\n\n{table(('column', 'definition'), rows)}" for group, rows in tables.items()]
    return "\n".join(said)


def contact() -> str:
    """Every offer with its window, and every rule that speaks in a verdict."""
    offers = [
        (f"`{name}`", "-" if offer.days is None else str(offer.days), offer.opened_by, offer.common_id)
        for name, offer in OFFERS.items()
    ]
    rules = [(f"`{name}`", rule.decision, rule.meaning, rule.source) for name, rule in RULES.items()]
    territories = [(f"`{name}`", each.zone) for name, each in TERRITORIES.items()]
    return (
        openings.CONTACT
        + table(("rule", "says", "meaning", "source"), rules)
        + "\n## Offers and their windows\n\n"
        + table(("offer", "days", "opened by", "identifiant commun"), offers)
        + "\n## Territories\n\n"
        + table(("territory", "time zone"), territories)
    )


def error_page() -> str:
    """Every error, its parents and its evidence."""
    found = [getattr(errors, name) for name in errors.__all__]
    rows = [
        (f"`{each.__name__}`", ", ".join(f"`{base.__name__}`" for base in each.__bases__), docstring(each))
        for each in found
        if each is not AliasError
    ]
    cells = [(name, parents, " ".join(said.split())) for name, parents, said in rows]
    return openings.ERRORS + table(("error", "is also", "meaning"), cells)


PAGES: dict[str, Callable[[], str]] = {
    "settings": settings,
    "commands": commands,
    "names": names,
    "figures": figures,
    "contact": contact,
    "errors": error_page,
}
