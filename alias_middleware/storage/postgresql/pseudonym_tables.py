"""The tables in PostgreSQL for pseudonyms: check values, lasting keys, sealed aliases."""

from __future__ import annotations

PSEUDONYMS = (
    "CREATE TABLE pseudonyms (namespace text PRIMARY KEY, mark text NOT NULL)",
    """CREATE TABLE lasting_keys (
    namespace text NOT NULL,
    key text NOT NULL,
    concealed bytea NOT NULL,
    PRIMARY KEY (namespace, key)
)""",
    """CREATE TABLE sealed_aliases (
    namespace text NOT NULL,
    key text NOT NULL,
    why text NOT NULL,
    time_us bigint NOT NULL,
    until_us bigint NOT NULL,
    sealed bytea NOT NULL,
    PRIMARY KEY (namespace, key, why)
)""",
)
"""`mark` is the check value of the pseudonym keys; for `concealed` see `Keyring.conceal`."""
