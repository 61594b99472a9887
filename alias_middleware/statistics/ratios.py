"""Ratios of exact numbers, rounded once: half-even, four places, whatever the app's own decimal context."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from fractions import Fraction

_FOUR_PLACES = Decimal("0.0001")


def ratio(part: int | Fraction, whole: int) -> Decimal | None:
    """Divide; None where there is nothing to divide by."""
    return rounded(Fraction(part, whole)) if whole else None


def money_average(millionths: Fraction) -> Decimal:
    """Turn an average of millionths into units."""
    return rounded(millionths / 1_000_000)


def rounded(value: Fraction) -> Decimal:
    """Round half-even to four places."""
    with localcontext(prec=60, rounding=ROUND_HALF_EVEN):
        scaled = round(value * 10_000)
        return (Decimal(scaled) * _FOUR_PLACES).quantize(_FOUR_PLACES)
