"""What a `postgresql://` URL says: where the server is, and a few words for this storage."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict

from alias_middleware.errors import SettingsError

SCHEMA = "alias_middleware"
"""The schema (as PostgreSQL calls a room of tables) unless the URL names another."""

_CONNECTIONS = 8
_OURS = ("schema", "create_schema", "max_connections", "erasure_log")
_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_TRUTH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}

_DEFAULTS: dict[str, str | int] = {
    "application_name": "alias-middleware",
    "connect_timeout": 2,
    "keepalives_idle": 30,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""Of libpq's parameters, those that find out soon that the other end is gone."""
_ENCODING = {"client_encoding": "utf8"}
"""Whatever the server's: `arrays` has texts in it."""


class Address(NamedTuple):
    """Where and how to connect. `parameters` are libpq's own; `erasure_log` is a file of this machine."""

    parameters: dict[str, Any]
    schema: str
    create_schema: bool
    max_connections: int
    erasure_log: Path | None = None


def parse(url: str) -> Address:
    """Read a URL: `schema`, `create_schema`, `max_connections` and `erasure_log` are ours, the rest is libpq's.

    Raises:
        SettingsError: no URL that libpq understands, or one of our words has no use. The URL is not shown: it
            may hold a password.
    """
    parts = urlsplit(url)
    said = parse_qsl(parts.query, keep_blank_values=True)
    ours = {name: value for name, value in said if name in _OURS}
    rest = urlencode(
        [pair for pair in said if pair[0] not in ours], quote_via=quote
    )  # libpq knows no + for a space
    try:
        given = conninfo_to_dict(urlunsplit(parts._replace(query=rest)))
    except psycopg.ProgrammingError as error:
        raise SettingsError(
            "PostgreSQL wants postgresql://user:password@host/database, and libpq does not understand this one",
            setting="storage",
        ) from error
    schema = ours.get("schema", SCHEMA)
    if not _NAME.fullmatch(schema):
        raise SettingsError("schema= is a name of small letters, digits and _", setting="storage")
    create = _TRUTH.get(ours.get("create_schema", "true").lower())
    if create is None:
        raise SettingsError("create_schema= is true or false", setting="storage")
    most = ours.get("max_connections", str(_CONNECTIONS))
    if not most.isdecimal() or not 2 <= int(most) <= 1000:
        raise SettingsError("max_connections= is a number from 2 to 1000", setting="storage")
    log = Path(ours["erasure_log"]) if ours.get("erasure_log") else None
    return Address(_with_options(_DEFAULTS | given | _ENCODING, schema), schema, create, int(most), log)


def _with_options(parameters: dict[str, Any], schema: str) -> dict[str, Any]:
    """Have the server end by itself what we would not wait for any more."""
    limits = "-c statement_timeout=120s -c lock_timeout=5s -c idle_in_transaction_session_timeout=30s"
    gone = "-c tcp_keepalives_idle=30 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"  # with its locks
    whole = "-c citus.propagate_set_commands=local"  # a transaction's settings hold on all machines of a cluster
    ours = f"-c search_path={schema} {limits} {gone} {whole}"
    return parameters | {"options": f"{ours} {parameters.get('options') or ''}".strip()}
