"""What the pages say, in the reader's language: texts from the catalogues, numbers, dates and money by Babel."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, tzinfo
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

from babel import Locale
from babel.dates import format_date, format_datetime, get_day_names
from babel.numbers import format_currency, format_decimal, format_percent
from babel.units import format_unit

from alias_middleware.dashboard.tables import Column
from alias_middleware.dashboard.texts import en, fr
from alias_middleware.interests import Evidence

CATALOGUES: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType({"en": en.TEXTS, "fr": fr.TEXTS})
"""All texts, by language."""

_NOTHING = "–"
_UNITS = ("byte", "kilobyte", "megabyte", "gigabyte", "terabyte")
_LONGEST_LANGUAGE = 200
_GOES_ON = re.compile(r",? (?:on|until|of|since|le|du|jusqu'au|depuis le)$")
_DOUBLE_SIGN = re.compile(r" (?=[:;?!/»])")


class Words:
    """Texts and formats of one language; moments on the clocks of one zone."""

    def __init__(self, language: str, zone: tzinfo) -> None:
        """Speak a language that has a catalogue."""
        self.language = language
        self._texts = CATALOGUES[language]
        self._locale = Locale.parse("en_GB" if language == "en" else language)
        self._zone = zone
        self._writers: Mapping[str, Callable[[Any], str]] = {
            "count": self.count,
            "ratio": self.count,
            "share": self.share,
            "day": self.day,
            "month": self.month,
            "moment": self.moment,
            "weekday": self.weekday,
        }

    def __call__(self, key: str, **values: object) -> str:
        """Give a text, with values filled in.

        Raises:
            KeyError: the catalogue has no such text.
        """
        return self._typeset(self._texts[key].format(**values))

    def has(self, key: str) -> bool:
        """Tell whether there is such a text."""
        return key in self._texts

    def named(self, group: str, name: str) -> str:
        """Give the text of one of a group, or its own name where the catalogue has none."""
        return self._texts.get(f"{group}.{name}", name)

    def rule(self, name: str) -> str:
        """Say what a rule means where no value follows."""
        return _GOES_ON.sub("", self.named("rule", name))

    def definition(self, key: str) -> str:
        """Give the definition of a figure or column; a column's own goes before the figure's of that name."""
        figure = key.rpartition(".")[2]
        return self._typeset(self._texts.get(f"definition.{key}") or self._texts.get(f"definition.{figure}", ""))

    def _typeset(self, text: str) -> str:
        """Keep French double signs on the line of the word before them."""
        return _DOUBLE_SIGN.sub("\N{NO-BREAK SPACE}", text) if self.language == "fr" else text

    def heading(self, column: Column) -> str:
        """Give the heading of a column."""
        text = self.named("column", column.name)
        return f"{text}, {column.currency}" if column.currency else text

    def count(self, value: int | Decimal) -> str:
        """Write a number."""
        return str(format_decimal(value, locale=self._locale))

    def size(self, value: int) -> str:
        """Write a number of bytes in the unit that suits it."""
        power = max(0, min(len(_UNITS) - 1, (len(str(value)) - 1) // 3))
        amount = round(value / 1000**power, 1)
        unit = f"digital-{_UNITS[power]}"
        return str(format_unit(amount, unit, length="short" if power else "long", locale=self._locale))

    def money(self, amount: Decimal, currency: str) -> str:
        """Write an amount with its currency, to the cent."""
        return str(format_currency(amount, currency, locale=self._locale))

    def share(self, value: Decimal) -> str:
        """Write a ratio as a percentage."""
        return str(
            format_percent(value, format="#,##0.0 %" if self.language == "fr" else "#,##0.0%", locale=self._locale)
        )

    def part(self, value: Decimal) -> str:
        """Write a ratio as a whole percentage, for narrow cells."""
        return str(format_percent(value, format="0 %" if self.language == "fr" else "0%", locale=self._locale))

    def change(self, value: Decimal) -> str:
        """Write by how much a figure has changed."""
        sign = "+" if value > 0 else ""
        return f"{sign}{self.share(value)}"

    def day(self, value: date) -> str:
        """Write a date."""
        return str(format_date(value, "medium", locale=self._locale))

    def month(self, value: date) -> str:
        """Write a month."""
        return str(format_date(value, "MMM y", locale=self._locale))

    def moment(self, value: datetime) -> str:
        """Write a moment on the service's clocks."""
        return str(format_datetime(value.astimezone(self._zone), "d MMM y, HH:mm:ss", locale=self._locale))

    def weekday(self, number: int) -> str:
        """Write a day of the week, Monday is 1."""
        return str(get_day_names("abbreviated", locale=self._locale)[number - 1])

    def figure(self, value: Any) -> list[str]:
        """Write a figure of a summary: a count, an average, or money in each currency."""
        if isinstance(value, dict):
            return [self.money(amount, currency) for currency, amount in sorted(value.items())] or [_NOTHING]
        return [_NOTHING if value is None else self.count(value)]

    def multiple(self, value: float) -> str:
        """Write how many times more something is."""
        return str(format_decimal(value, format="0.0", locale=self._locale))

    def evidence(self, evidence: Evidence) -> str:
        """Say why a category is called an interest."""
        if evidence.basis == "population":
            return self("evidence.population")
        said = [self("evidence.pages", number=evidence.pages)]
        if evidence.since is not None:
            said.append(self("evidence.since", day=self.day(evidence.since.astimezone(self._zone).date())))
        if evidence.carts:
            said.append(self("evidence.carts", number=evidence.carts))
        if evidence.purchases:
            said.append(self("evidence.purchases", number=evidence.purchases))
        return ", ".join(said)

    def anything(self, value: Any) -> str:
        """Write what a rule found: a moment, a number, a name, or nothing."""
        if isinstance(value, datetime):
            return self.moment(value)
        return "" if value is None else str(value)

    def cell(self, value: Any, column: Column) -> str:
        """Write a cell of a table."""
        if value is None:
            return _NOTHING
        if column.kind == "money":
            return self.money(value, column.currency)
        write = self._writers.get(column.kind)
        if write is not None:
            return write(value)
        group = "standing" if column.name == "standing" else f"value.{column.name}"
        return self.named(group, str(value))


def language_of(accepted: str) -> str:
    """Choose a language by Accept-Language; English where none of ours is asked for."""
    wishes = []
    for place, wish in enumerate(accepted[:_LONGEST_LANGUAGE].split(",")):
        tag, _, weight = wish.partition(";q=")
        try:
            wishes.append((-float(weight or 1), place, tag.strip().lower().partition("-")[0]))
        except ValueError:
            continue
    return next((tag for weight, _, tag in sorted(wishes) if tag in CATALOGUES and weight < 0), "en")
