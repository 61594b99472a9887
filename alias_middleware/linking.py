"""Carrying over what was kept of a person before `attached_on`, when the aliases changed: if the app asks.

Two namespaces are of different people until somebody shows otherwise. A continuity cookie that the service issued
before that day, presented beside today's header, says that one browser was both: no more than that, so the app
decides, once, and can take it back. The old alias identifies nobody.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import msgspec

from alias_middleware.attachment import Attachment
from alias_middleware.continuity import Claim, Continuity
from alias_middleware.discreet import Discreet
from alias_middleware.draft import Draft
from alias_middleware.errors import StorageCorrupt
from alias_middleware.keying import key_of
from alias_middleware.local_time import LocalDays
from alias_middleware.profile import (
    LINK_NOTE,
    PROFILE_LIMIT,
    UNDECODABLE,
    Area,
    Json,
    Operation,
    ProfileChange,
    StoredProfile,
    decode_consents,
    decode_json,
    encode_json,
    latest_consents,
)
from alias_middleware.settings import Settings

_CARRIED: tuple[Area, ...] = ("preferences", "personal")


class Archive(Protocol):
    """What a link asks of the recorder."""

    def now(self) -> int:
        """Give the present moment in microseconds."""

    def read(self, namespace: str, key: str) -> StoredProfile | None:
        """Read a profile of any namespace; None when the storage cannot answer."""

    def was_erased(self, key: str, since_us: int, namespace: str | None = None) -> bool:
        """Tell whether a visitor was erased since; True as well when the storage cannot say."""

    def carried_out(self, change: ProfileChange) -> bool:
        """Carry out field operations now; False when the storage did not."""

    def waits(self, call: str, *, long: bool) -> None:
        """Report a call that an event loop would wait for: one that takes `long`, or has to wait for a network."""

    def problem(self, error: Exception) -> None:
        """Report an error: raised where the settings say so, else logged and counted."""


class Person(Protocol):
    """What `Linkable` asks of the visitor that it is a part of."""

    touched: bool
    draft: Draft | None
    bridge: Bridge | None

    def allows(self, purpose: str) -> bool:
        """Tell whether the visitor consents to a purpose."""

    def commit(self) -> None:
        """Carry out the noted field operations."""

    def _linked_anew(self, done: bool) -> bool:
        """Have what changed in the storage read anew."""


class Note(msgspec.Struct, frozen=True):
    """What a profile remembers of its link: when it was made (microseconds), and the fields that were copied."""

    at_us: int = 0
    preferences: list[str] = []
    personal: list[str] = []

    def withdrawals(self) -> list[Operation]:
        """Give the operations that take the copied fields away where nobody changed them since."""
        return [
            Operation("withdraw", area, field, self.at_us) for area in _CARRIED for field in getattr(self, area)
        ]

    def emptied(self) -> Operation:
        """Give the operation that remembers only that there was a link: it is not made again."""
        return Operation("set", "personal", LINK_NOTE, msgspec.to_builtins(Note(self.at_us)))


class Plan(NamedTuple):
    """Field operations of one moment (microseconds), which their note has, too."""

    at_us: int
    operations: tuple[Operation, ...]


class Linking:
    """The rules of a site that was attached on some day and has continuity."""

    def __init__(self, settings: Settings, attachment: Attachment) -> None:
        """Know the cookies and the keys of the service's own namespace. Needs `secret_keys`."""
        self.namespace = settings.namespace
        self.own = attachment.service
        self._cookies = Continuity(attachment.service, settings.secret_keys)
        self._attached_us = LocalDays(settings.tzinfo).start(attachment.on)
        self._accepts = settings.source.accepts
        self.key_of = key_of(settings, attachment.service)

    def claim(self, presented: str | None, now: int) -> Claim | None:
        """Read a cookie that the service issued while the aliases were its own; None of any other."""
        claim = self._cookies.read(presented, now) if presented else None
        if claim is None or claim.header_at >= self._attached_us or not self._accepts(claim.alias):
            return None
        return claim

    def bridge(
        self,
        archive: Archive,
        key: str,
        presented: Callable[[], str | None] | None = None,
        begun_us: int | None = None,
    ) -> Bridge:
        """Give one visitor's way, by his key in the reference's namespace; see `Bridge`."""
        return Bridge(self, archive, key, presented, begun_us)


def linking_of(settings: Settings) -> Linking | None:
    """Give the rules of a site; None without continuity or `attached_on`, so that nothing is ever linked."""
    if settings.attachment is None or not settings.continuity:
        return None
    return Linking(settings, settings.attachment)


class Bridge(Discreet, msgspec.Struct, eq=False):
    """One recognised visitor's way to what was kept of him before; nothing is read until it is asked for.

    `_presented` gives the continuity cookie of a request; None where no header named the visitor. `_begun_us`:
    when the request began, now for None.
    """

    _linking: Linking
    _archive: Archive
    _key: str
    _presented: Callable[[], str | None] | None
    _begun_us: int | None = None
    awaits: bool = False
    """Whether the app asked and may still link: until then the old cookie must not be replaced."""

    def __repr__(self) -> str:  # reporters of errors show the locals of every frame
        return "<Bridge>"

    def plan(self) -> Plan | None:
        """Give what the link would do; None where there is nothing to carry over, or no right to."""
        archive, linking = self._archive, self._linking
        claim = linking.claim(self._presented(), archive.now()) if self._presented else None
        if claim is None:
            return None
        old_key, since_us = linking.key_of(claim.alias), claim.header_at
        if archive.was_erased(old_key, since_us, linking.own) or archive.was_erased(self._key, since_us):
            return None
        before, present = archive.read(linking.own, old_key), archive.read(linking.namespace, self._key)
        if before is None or present is None:
            return None
        try:
            linked, refused = _note(present) is not None, _refuses(before)
            return None if linked or refused else _copying(before, present, archive.now())
        except UNDECODABLE:
            archive.problem(StorageCorrupt("a stored profile does not decode"))
            return None

    def is_open(self) -> bool:
        """Tell whether there is anything that may be carried over."""
        self._archive.waits("linkable", long=False)
        self.awaits = self.plan() is not None
        return self.awaits

    def make(self) -> bool:
        """Carry it over; False where there was nothing, or the storage did not."""
        self._archive.waits("link()", long=True)
        plan = self.plan()
        done = plan is not None and self._carry_out(plan)
        self.awaits = plan is not None and not done
        return done

    def undo(self) -> bool:
        """Take away what the link brought and nobody changed since; False where there was no link."""
        self._archive.waits("unlink()", long=True)
        present = self._archive.read(self._linking.namespace, self._key)
        note = None if present is None else _note(present)
        if note is None or not (note.preferences or note.personal):
            return False
        return self._carry_out(Plan(self._archive.now(), (*note.withdrawals(), note.emptied())))

    def _carry_out(self, plan: Plan) -> bool:
        """Do it at once, never by way of the spool: late, its fields would not have the note's moment."""
        begun_us = self._archive.now() if self._begun_us is None else self._begun_us
        return self._archive.carried_out(ProfileChange(self._key, plan.at_us, begun_us, plan.operations))


class Linkable:
    """What a visitor offers of it. A mixin, for `Visitor` alone."""

    __slots__ = ()

    @property
    def linkable(self: Person) -> bool:
        """Whether `link` would carry over what the service kept of this browser's visitor before `attached_on`.

        It takes continuity, `attached_on`, a header that names the visitor, and a continuity cookie from before
        that day. Where it is so, this answer does not replace the old cookie, so that the app may ask the visitor
        first. This reads the storage.
        """
        self.touched = True
        return self.bridge is not None and self.allows("personalise") and self.bridge.is_open()

    def link(self: Person) -> bool:
        """Copy preferences and personal data of before `attached_on` into this profile, once; False if not done.

        A field that this profile has stays as it is. History, orders, consents and opt-outs stay with the old
        alias, and figures count two visitors as before. Refused where either side was erased since the old
        cookie's header, or refuses to be personalised, and where all of it together is too large for a profile.

        This writes to the storage at once: under ASGI call it through `run_in_threadpool`.

        Raises:
            BlockingCallError: on the event loop, where the settings say that errors are raised.
        """
        self.touched = True
        if self.bridge is None or not self.allows("personalise"):
            return False
        self.commit()  # what the app set in this request is there already
        return self._linked_anew(self.bridge.make())

    def unlink(self: Person) -> bool:
        """Take away again what `link` copied and nobody changed since, for good; False where nothing was linked.

        This writes to the storage at once: under ASGI call it through `run_in_threadpool`.

        Raises:
            BlockingCallError: on the event loop, where the settings say that errors are raised.
        """
        self.touched = True
        if self.bridge is None:
            return False
        self.commit()
        return self._linked_anew(self.bridge.undo())

    def _linked_anew(self: Person, done: bool) -> bool:
        if done and self.draft is not None:
            self.draft.reread()
        return done


def _note(profile: StoredProfile) -> Note | None:
    """Give the note of a profile's link; None where it never was linked."""
    try:
        kept = decode_json(profile.personal).get(LINK_NOTE)
        return None if kept is None else msgspec.convert(kept, Note)
    except UNDECODABLE:  # damaged, or written by the app: nothing is known to be copied
        return Note()


def _refuses(profile: StoredProfile) -> bool:
    """Tell whether the person of before did not want to be personalised."""
    said = latest_consents(decode_consents(profile.consents)).get("personalise")
    return said is not None and not said.granted


def _copying(before: StoredProfile, present: StoredProfile, at_us: int) -> Plan | None:
    """Plan to copy each field that is not there yet, the note first; None without any, or without room for all."""
    preferences = _missing(before.preferences, present.preferences)
    personal = _missing(before.personal, present.personal)
    if not (preferences or personal):
        return None
    note = Note(at_us, list(preferences), list(personal))
    copies = [Operation("fill", "preferences", field, value) for field, value in preferences.items()]
    copies += [Operation("fill", "personal", field, value) for field, value in personal.items()]
    copies.insert(0, Operation("fill", "personal", LINK_NOTE, msgspec.to_builtins(note)))
    added = len(encode_json([{operation.field: operation.value} for operation in copies]))
    together = len(present.preferences) + len(present.personal) + added
    return Plan(at_us, tuple(copies)) if together <= PROFILE_LIMIT else None


def _missing(before: bytes, present: bytes) -> dict[str, Json]:
    there = {*decode_json(present), LINK_NOTE}
    return {field: value for field, value in decode_json(before).items() if field not in there}
