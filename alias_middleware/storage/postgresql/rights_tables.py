"""The tables in PostgreSQL for retention and audit: frozen days, numbers ever given, disclosures."""

from __future__ import annotations

RIGHTS = (
    """CREATE TABLE horizons (
    namespace text PRIMARY KEY,
    frozen_before integer NOT NULL,
    purged_before integer NOT NULL
)""",
    """CREATE TABLE frozen (
    service integer NOT NULL,
    day integer NOT NULL,
    channel text NOT NULL,
    section text NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (service, day, channel, section)
)""",
    "CREATE TABLE retired_numbers (namespace text PRIMARY KEY, highest integer NOT NULL)",
    """CREATE TABLE disclosures (
    namespace text NOT NULL,
    hash bytea NOT NULL,
    time_us bigint NOT NULL,
    id bigint NOT NULL,
    what text NOT NULL,
    requester text NOT NULL,
    reason text NOT NULL,
    PRIMARY KEY (namespace, hash, time_us, id)
)""",
)
"""`horizons`: the local days before which a namespace takes no more events, and has no raw ones left.

`frozen`: the roll-ups of such days; once there is one `numbers` are truth: it is made of them.
`retired_numbers`: the highest number that a forgotten visitor had: nobody else may get it.
"""

NUMBERS = (
    "ALTER TABLE retired_numbers RENAME TO given_numbers",
    """INSERT INTO given_numbers SELECT namespace, max(number) FROM numbers GROUP BY namespace
    ON CONFLICT (namespace) DO UPDATE SET highest = greatest(given_numbers.highest, excluded.highest)""",
    "DROP INDEX numbers_given",
)
"""`given_numbers`: the highest number that any visitor of a namespace ever had: nobody gets one a second time."""

REPLACED = (
    """CREATE TABLE replaced (
    service text NOT NULL,
    since_us bigint NOT NULL,
    until_us bigint NOT NULL,
    swept boolean NOT NULL,
    PRIMARY KEY (service, since_us, until_us)
)""",
)
"""The stretches of time that logs stand for. `swept`: what was recorded live in that time is gone."""

LIVE_TIMES = ("ALTER TABLE live ADD COLUMN earliest_us bigint",)
"""`earliest_us`: see `replacing.LiveTime`. Where there is none, live ones from before `since_us` may be stored."""
