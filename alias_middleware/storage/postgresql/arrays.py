"""Columns of rows as arrays in PostgreSQL's text form: the driver's own way takes several times as long."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def columns_of(rows: Iterable[tuple[object, ...]]) -> list[str]:
    """Turn rows round: one array a column, to be cast in the statement.

    Numbers and truths, of which any may be None, or texts or bytes.
    """
    return [_array(column) for column in zip(*rows, strict=True)]


def _array(column: Sequence[object]) -> str:
    first = column[0]
    if isinstance(first, bytes):
        return "{" + ",".join([f'"\\\\x{value.hex()}"' for value in column]) + "}"  # type: ignore[attr-defined]
    if isinstance(first, str):
        return "{" + ",".join([_quoted(value) for value in column]) + "}"  # type: ignore[arg-type]
    return "{" + ",".join(map(str, column)).replace("None", "NULL") + "}"


def _quoted(text: str) -> str:
    if text.isalnum():
        return f'"{text}"'  # quoted all the same: NULL would be no text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
