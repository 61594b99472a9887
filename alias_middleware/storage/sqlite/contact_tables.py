"""The history file's tables for contacting visitors: campaigns, their messages, conversions to numbers."""

from __future__ import annotations

CONTACT = """
    CREATE TABLE suppression_keys (mark BLOB PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE campaigns (
        service TEXT NOT NULL,
        namespace TEXT NOT NULL,
        name TEXT NOT NULL,
        standing TEXT NOT NULL,
        plan BLOB NOT NULL,
        created_us INTEGER NOT NULL,
        PRIMARY KEY (service, name)
    ) WITHOUT ROWID;
    CREATE TABLE dispatches (
        service TEXT NOT NULL,
        campaign TEXT NOT NULL,
        namespace TEXT NOT NULL,
        key TEXT NOT NULL,
        state TEXT NOT NULL,
        reason TEXT NOT NULL DEFAULT '',
        until_us INTEGER NOT NULL DEFAULT 0,
        time_us INTEGER NOT NULL,
        message_id TEXT NOT NULL DEFAULT '',
        claimed_us INTEGER,
        PRIMARY KEY (service, campaign, namespace, key)
    ) WITHOUT ROWID;
    CREATE INDEX dispatches_by_state ON dispatches (service, campaign, state, until_us);
    CREATE INDEX dispatches_by_message ON dispatches (message_id) WHERE message_id != '';
    CREATE INDEX contacts_of_visitor ON dispatches (namespace, key, claimed_us) WHERE claimed_us IS NOT NULL;
    CREATE TABLE contact_notes (
        service TEXT NOT NULL,
        what TEXT NOT NULL,
        time_us INTEGER NOT NULL,
        how TEXT NOT NULL,
        PRIMARY KEY (service, what)
    ) WITHOUT ROWID;
    CREATE TABLE stray_messages (
        service TEXT NOT NULL,
        id INTEGER NOT NULL,
        time_us INTEGER NOT NULL,
        short_code TEXT NOT NULL,
        text TEXT NOT NULL,
        PRIMARY KEY (service, id)
    ) WITHOUT ROWID;
    CREATE TABLE erased_dispatches (
        service TEXT NOT NULL,
        campaign TEXT NOT NULL,
        state TEXT NOT NULL,
        reason TEXT NOT NULL,
        number INTEGER NOT NULL,
        PRIMARY KEY (service, campaign, state, reason)
    ) WITHOUT ROWID;
    CREATE TABLE conversions (
        id INTEGER PRIMARY KEY,
        scope TEXT NOT NULL,
        month TEXT NOT NULL,
        time_us INTEGER NOT NULL,
        requester TEXT NOT NULL,
        reason TEXT NOT NULL,
        detail TEXT NOT NULL,
        given_back INTEGER NOT NULL
    );
    CREATE INDEX conversions_of_month ON conversions (scope, month, time_us);
"""
"""`claimed_us` is the time at which a message was marked as being sent, where it counts as a contact.

`contact_notes` say that a campaign's audience is fixed, or how a service's earlier opt-outs are known."""
