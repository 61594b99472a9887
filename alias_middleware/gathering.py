"""What the writer has read for one batch: records sorted by kind, and how far each segment was read."""

from __future__ import annotations

import base64
from collections import Counter
from typing import Any, NamedTuple

import msgspec

from alias_middleware import segments
from alias_middleware.events import Event, PageView
from alias_middleware.records import EVENT_IDS, Header, Identified, Record, Tally, decode_record
from alias_middleware.sealing import Sealing
from alias_middleware.storage.base import Batch, Entry, LateChange, LateSealing, Origin, Span


class Raw(NamedTuple):
    """A record as it stands in the spool."""

    segment: str
    place: int
    header: Header
    payload: bytes

    def rejected_line(self, reason: str) -> bytes:
        """Give the line of JSON that keeps a record which could not be stored, as far as it decodes."""
        line: dict[str, Any] = {
            "service": self.header.origin.service,
            "id": self.header.event_id(self.place),
            "reason": reason,
        }
        try:
            return msgspec.json.encode(line | {"event": msgspec.msgpack.decode(self.payload)}) + b"\n"
        except (msgspec.MsgspecError, TypeError, ValueError):
            return msgspec.json.encode(line | {"payload": base64.b64encode(self.payload).decode()}) + b"\n"


class Gathering:
    """What has been read for one batch."""

    def __init__(self) -> None:
        """Start with nothing."""
        self.entries: list[Entry] = []
        self.changes: list[LateChange] = []
        self.sealings: list[LateSealing] = []
        self.spans: dict[str, Span] = {}
        self.ended: list[str] = []
        self.unreadable: list[str] = []
        self.undecodable: list[Raw] = []
        self.last: Raw | None = None
        self.counts: Counter[str] = Counter()
        self.unidentified: Counter[tuple[Origin, int]] = Counter()
        self.bytes = 0
        self.records = 0
        self.more = False

    def add(self, name: str, position: int, part: segments.Part) -> None:
        """Take what was read of one segment from a position on; its records are taken out of `part`."""
        self.records += len(part.records)
        if part.header is not None:
            self._add(name, part.header, part.records)
        if part.torn:
            self.counts["torn"] += part.torn
        if part.end > position:
            self.spans[name] = Span(position, part.end)
            self.bytes += part.end - position
        if part.ended:
            (self.unreadable if part.header is None else self.ended).append(name)
        self.more |= part.more

    def _add(self, name: str, header: Header, records: list[tuple[int, bytes]]) -> None:
        """Decode records; each is let go of at once, so that a batch is not in memory twice."""
        origin, base, ids = header.origin, header.base, EVENT_IDS
        entries, before = self.entries, len(self.entries)
        if records:
            self.last = Raw(name, records[-1][0], header, records[-1][1])
        records.reverse()
        while records:
            place, payload = records.pop()
            try:
                record: Record = decode_record(payload)
            except msgspec.DecodeError:
                self.undecodable.append(Raw(name, place, header, payload))
                self.counts.update({"seen": 1, "dropped.undecodable": 1})
                continue
            if type(record) is PageView or isinstance(record, Event):  # most are, and asking so takes no call
                entries.append(Entry(origin, record, (base + place) % ids))
            elif isinstance(record, Identified):
                entries.append(Entry(origin, record.event, record.id))
            elif isinstance(record, Tally):
                self.counts.update(record.counts)
                for day, page_views in record.unidentified.items():
                    self.unidentified[origin, day] += page_views
            elif isinstance(record, Sealing):
                self.sealings.append(LateSealing(origin.namespace, record, origin.keyed))
            else:
                late = LateChange(origin.namespace, record, header.event_id(place), origin.keyed)
                self.changes.append(late)
        if seen := len(entries) - before:
            self.counts["seen"] += seen

    def batch(self, finished: list[str]) -> Batch:
        """Make the batch."""
        return Batch(
            entries=self.entries,
            changes=self.changes,
            sealings=self.sealings,
            spans=self.spans,
            finished=finished,
            counts=dict(self.counts),
            unidentified=dict(self.unidentified),
        )

    def batch_without_record(self, finished: list[str]) -> Batch:
        """Make the batch that passes over the only record there is."""
        passed_over = {"dropped.rejected": len(self.entries), "preferences_lost": len(self.changes)}
        counts = self.counts + Counter(passed_over)
        return Batch(spans=self.spans, finished=finished, counts=dict(counts))
