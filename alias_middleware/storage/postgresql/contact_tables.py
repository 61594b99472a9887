"""The tables in PostgreSQL for contacting visitors: campaigns, their messages, conversions to numbers."""

from __future__ import annotations

CONTACT = (
    "CREATE TABLE suppression_keys (mark bytea PRIMARY KEY)",
    """CREATE TABLE campaigns (
    service text NOT NULL,
    namespace text NOT NULL,
    name text NOT NULL,
    standing text NOT NULL,
    plan bytea NOT NULL,
    created_us bigint NOT NULL,
    PRIMARY KEY (service, name)
)""",
    """CREATE TABLE dispatches (
    namespace text NOT NULL,
    key text NOT NULL,
    service text NOT NULL,
    campaign text NOT NULL,
    state text NOT NULL,
    reason text NOT NULL,
    until_us bigint NOT NULL,
    time_us bigint NOT NULL,
    message_id text NOT NULL,
    claimed_us bigint,
    PRIMARY KEY (namespace, key, service, campaign)
) WITH (fillfactor = 70)""",
    """CREATE INDEX dispatches_waiting ON dispatches (service, campaign, until_us, key)
    WHERE state IN ('queued', 'held')""",
    "CREATE INDEX dispatches_by_state ON dispatches (service, campaign, state, key)",
    "CREATE INDEX dispatches_by_message ON dispatches (message_id) WHERE message_id <> ''",
    """CREATE TABLE contact_notes (
    service text NOT NULL,
    what text NOT NULL,
    time_us bigint NOT NULL,
    how text NOT NULL,
    PRIMARY KEY (service, what)
)""",
    """CREATE TABLE stray_messages (
    service text NOT NULL,
    id bigint NOT NULL,
    time_us bigint NOT NULL,
    short_code text NOT NULL,
    text bytea NOT NULL,
    PRIMARY KEY (service, id)
)""",
    """CREATE TABLE erased_dispatches (
    service text NOT NULL,
    campaign text NOT NULL,
    state text NOT NULL,
    reason text NOT NULL,
    number bigint NOT NULL,
    PRIMARY KEY (service, campaign, state, reason)
)""",
    """CREATE TABLE conversions (
    id bigint PRIMARY KEY,
    scope text NOT NULL,
    month text NOT NULL,
    time_us bigint NOT NULL,
    requester text NOT NULL,
    reason text NOT NULL,
    detail text NOT NULL,
    given_back boolean NOT NULL
)""",
    "CREATE INDEX conversions_of_month ON conversions (scope, month, time_us)",
)
"""`claimed_us` is the time at which a message was marked as being sent, where it counts as a contact.

`contact_notes` say that a campaign's audience is fixed, or how a service's earlier opt-outs are known.
`suppression_keys` has what tells the keys under which opt-outs are kept. The text of a stray message is UTF-8:
`text` does not hold every character.
"""
