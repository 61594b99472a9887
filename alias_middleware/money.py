"""Exact money: amounts as int64 millionths of a currency's unit inside, as Decimal outside, never as float."""

from __future__ import annotations

from decimal import Decimal

from alias_middleware.errors import EventError

_MILLION = 1_000_000
_MOST_DIGITS = 18
LARGEST_AMOUNT = 10**15
"""Millionths: a thousand million units. Sums of thousands of such orders stay within 64 bits."""


def to_millionths(value: Decimal | int, *, field: str) -> int:
    """Turn an exact amount of money into millionths of its unit.

    Raises:
        EventError: not a Decimal or int, not finite, finer than a millionth, or past a thousand million units.
    """
    if isinstance(value, bool) or not isinstance(value, Decimal | int):
        raise EventError(f"an exact Decimal is needed, not {type(value).__name__}", field=field)
    exact = Decimal(value)
    if not exact.is_finite():
        raise EventError("must be finite", field=field)
    if exact and abs(exact.adjusted()) > _MOST_DIGITS:
        raise EventError("too large or too small", field=field)
    numerator, denominator = exact.as_integer_ratio()
    millionths, rest = divmod(numerator * _MILLION, denominator)
    if rest:
        raise EventError("finer than a millionth of the unit", field=field)
    if abs(millionths) > LARGEST_AMOUNT:
        raise EventError("too large", field=field)
    return millionths


def from_millionths(amount: int) -> Decimal:
    """Turn millionths into a Decimal of the unit, with two decimal places or as many as are needed."""
    units, rest = divmod(abs(amount), _MILLION)
    # Written out, because arithmetic follows the app's decimal context, which may round.
    places = f"{rest:06d}".rstrip("0").ljust(2, "0")
    return Decimal(f"{'-' if amount < 0 else ''}{units}.{places}")
