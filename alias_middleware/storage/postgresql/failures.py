"""What PostgreSQL and its driver say went wrong, in the words of the storage contract."""

from __future__ import annotations

import psycopg
from psycopg import errors

from alias_middleware.errors import StorageCorrupt, StorageError, StorageUnavailable

DRIVER_ERRORS = (psycopg.Error, OSError)
"""What talking to the server may raise; `wrapped` names it."""

_REASONS = {
    "25006": "read_only",
    "40001": "locked",
    "40P01": "locked",
    "53100": "disk_full",
    "53300": "too_many_connections",
    "55P03": "locked",
    "57014": "timeout",
    "3D000": "missing",
    "3F000": "no_schema",
    "42P01": "no_schema",
    "42703": "no_schema",
    "28000": "refused",
    "28P01": "refused",
    "42501": "refused",
    "AMS01": "sealed",
}
_CLASSES = {"08": "down", "53": "full", "57": "down", "58": "io_error"}
_DETAILS = {
    "no_schema": "its tables are missing or old: `alias-middleware migrate` makes them",
    "sealed": "its data are being moved, or were",
}
_OURS = ("22", "23")
"""Classes of errors about the data of a statement: something in a batch cannot be stored."""


class OutOfTime(Exception):  # noqa: N818 - it says what is wrong
    """A call did not end by its deadline; what became of it is not known."""


def wrapped(error: Exception) -> StorageError:
    """Give the error to raise. The server's own message is left out: it may quote a row."""
    if isinstance(error, OutOfTime | errors.ConnectionTimeout):
        return StorageUnavailable("PostgreSQL does not answer in time", reason="timeout")
    if isinstance(error, errors.DataCorrupted | errors.IndexCorrupted):
        return StorageCorrupt(f"PostgreSQL cannot read its files ({error.sqlstate})")
    state = getattr(error, "sqlstate", None)
    if state is None:
        return StorageUnavailable(
            f"PostgreSQL cannot be reached ({type(error).__name__})", reason=_unreached(error)
        )
    reason = _REASONS.get(state) or _CLASSES.get(state[:2], "error")
    detail = _DETAILS.get(reason) or f"PostgreSQL answers {type(error).__name__} ({state})"
    return StorageUnavailable(detail, reason=reason)


def is_about_data(error: Exception) -> bool:
    """Tell whether an error lies in what was to be stored, so that trying again will not help."""
    return isinstance(error, psycopg.DataError) or (getattr(error, "sqlstate", None) or "")[:2] in _OURS


def _unreached(error: Exception) -> str:
    """A connection that the server refused before it was one comes without a state: only its text says why."""
    said = str(error)
    if "too many clients" in said or "remaining connection slots" in said or "too many connections" in said:
        return "too_many_connections"
    if "password authentication" in said or "no pg_hba.conf entry" in said or "role" in said:
        return "refused"
    return "missing" if "does not exist" in said else "down"
