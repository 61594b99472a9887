"""What a request carries: the visitor, recognised or not, with a profile to read and a history to write.

Plain and synchronous. What a visitor needs done is done by its `Keeper`, the recorder of this process.
"""

from __future__ import annotations

from contextvars import ContextVar
from datetime import datetime
from types import TracebackType
from typing import Self

import msgspec

from alias_middleware.discreet import Discreet
from alias_middleware.draft import Draft, Restraint
from alias_middleware.events import NAME_LIMIT, TITLE_LIMIT, Event, clean_optional
from alias_middleware.fields import Profile
from alias_middleware.identity import Recognition, Status
from alias_middleware.keeper import Keeper
from alias_middleware.linking import Bridge, Linkable
from alias_middleware.local_time import to_micros
from alias_middleware.profile import PURPOSES, Consent
from alias_middleware.tracking import Trackable

current_visitor: ContextVar[Visitor] = ContextVar("alias_middleware.visitor")
"""The visitor of the request that the current context serves."""

make_current, restore_current = current_visitor.set, current_visitor.reset
"""For the edges: a method of what was imported is not found as fast as a function."""

_SOURCE_LIMIT = 128


class Visitor(Linkable, Trackable, Discreet, msgspec.Struct, eq=False, dict=True, weakref=True):
    """The person seen, as one request or one `with` block knows him. False when not recognised.

    Nothing on an unrecognised visitor raises but what is wrong for everybody, as a value that is no JSON: his
    profile lives for the request, nothing is recorded.
    """

    _keeper: Keeper
    recognition: Recognition
    _key: str | None
    """The visitor key; None for a stranger."""
    begun_us: int
    """When the request began."""
    at_once: bool = False
    """Whether every call commits before it returns."""
    patient: bool = False
    """Whether no request waits for what this visitor asks."""
    draft: Draft | None = None
    """The working copy of the profile, once it was asked for."""
    _profile: Profile | None = None
    unsynced: bool = False
    """Whether something was recorded that is still to be made durable."""
    touched: bool = False
    """Whether the app looked at the visitor, so that the answer may be personal."""
    annotation: tuple[str | None, str | None] | None = None
    """What `page` said of this page view: title and category."""
    by_continuity: bool = False
    """Whether the alias comes from the continuity cookie instead of the header."""
    live: bool = False
    """Whether events are timed when they happen (a websocket), not when the request began."""
    bridge: Bridge | None = None
    """The way to what was kept of him before `attached_on`."""

    def __bool__(self) -> bool:
        self.touched = True
        return self._key is not None

    def __repr__(self) -> str:
        return f"<Visitor {'recognised' if self._key is not None else self.recognition.status}>"

    @property
    def alias(self) -> str | None:
        """The operator's opaque identifier of this client, None when not recognised."""
        self.touched = True
        return self.recognition.alias

    @property
    def status(self) -> Status:
        """How the header was understood."""
        self.touched = True
        return self.recognition.status

    @property
    def flags(self) -> frozenset[str]:
        """What else was noticed about the header."""
        self.touched = True
        return self.recognition.flags

    @property
    def is_authenticated(self) -> bool:
        """Whether the visitor is recognised, as Starlette and Flask-Login ask it."""
        return bool(self)

    @property
    def identity(self) -> str:
        """The alias as Starlette asks for it, "" when not recognised."""
        return self.alias or ""

    @property
    def display_name(self) -> str:
        """A name that tells nothing, for frameworks that want one."""
        return "visitor" if self else ""

    @property
    def profile(self) -> Profile:
        """The visitor's preferences, personal data and knowledge."""
        self.touched = True
        profile = self._profile
        if profile is None:
            if self.draft is None:
                self.draft = self._new_draft() if self.patient else Draft(self._keeper, self._key)
            profile = self._profile = Profile(self.draft)
        return profile

    @property
    def consents(self) -> dict[str, Consent]:
        """The visitor's last word on each purpose he spoke of."""
        self.touched = True
        return dict(self._opened().consents)

    def allows(self, purpose: str) -> bool:
        """Tell whether the visitor consents to `measure`, `personalise` or `contact`.

        Raises:
            ValueError: there is no such purpose.
        """
        self.touched = True
        return self._opened().allows(_purpose(purpose))

    def load(self) -> None:
        """Read the profile now, from a place where waiting does no harm."""
        self._opened().load()

    def _opened(self) -> Draft:
        if self.draft is None:
            self.draft = self._new_draft()
        return self.draft

    def _new_draft(self) -> Draft:
        restraint: Restraint | None = "mode" if self._keeper.statistics_only else None
        return Draft(
            self._keeper,
            self._key,
            self.commit if self.at_once else None,
            patient=self.patient,
            restraint=restraint,
        )

    def page(self, *, category: str | None = None, title: str | None = None) -> None:
        """Say what this page view shows. Outside a page view it has no effect.

        A category said here goes before that of the setting `categories`.
        """
        self.annotation = clean_optional(title, TITLE_LIMIT), clean_optional(category, NAME_LIMIT)

    def consent(self, purpose: str, granted: bool, *, source: str | None = None) -> None:
        """Keep what the visitor says about a purpose, with the time and the place where he said it.

        Raises:
            ValueError: the purpose is none of measure, personalise, contact.
        """
        self.touched = True
        said = Consent(bool(granted), self._keeper.now(), clean_optional(source, _SOURCE_LIMIT))
        self._opened().consent(_purpose(purpose), said)

    def history(self, limit: int = 100, *, before: datetime | None = None) -> list[Event]:
        """Give the visitor's latest recorded events, newest first; empty for an unrecognised visitor.

        The next page is the one `before` the last event's `time`. Events of one moment are not parted: a page may
        hold a few more than `limit`.

        This reads the storage: under ASGI call it through `run_in_threadpool`.

        Raises:
            BlockingCallError: on the event loop, where the settings say that errors are raised.
        """
        self.touched = True
        before_us = None if before is None else to_micros(before)
        return [] if self._key is None else self._keeper.history(self._key, limit, before_us)

    def has_work(self) -> bool:
        """Tell whether a commit would have anything to do that takes time; never for a stranger."""
        draft = self.draft
        if draft is not None and self._key is not None and draft.has_operations():
            return True
        return self.unsynced

    def commit(self) -> None:
        """Carry out the noted field operations and make recorded events durable."""
        if not self.has_work():
            return
        draft = self.draft
        operations = draft.take() if draft is not None else []
        if operations and self._key is not None:
            begun_us = self._begun()
            self._keeper.change(self._key, begun_us, operations)
            if (addresses := self._keeper.addresses) is not None and self.recognition.alias is not None:
                alias = self.recognition.alias
                addresses.changed(self._key, alias, begun_us, self._keeper.now(), operations)
        if self.unsynced:
            self.unsynced = False
            self._keeper.sync()
        if self.at_once and draft is not None:
            draft.reread()

    def _begun(self) -> int:
        return self._keeper.now() if self.at_once else self.begun_us

    def __enter__(self) -> Self:
        """Gather what the block does; it is committed at the end."""
        self.at_once = False
        self.live = True
        self.begun_us = self._keeper.now()
        self.draft = self._profile = None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Commit; when the block raised, its field operations are left out. Events are recorded already."""
        if kind is not None:
            self.draft = None
        self.commit()
        self.draft = self._profile = None
        self.at_once = True


def _purpose(name: str) -> str:
    if name not in PURPOSES:
        raise ValueError(f"a purpose is one of {', '.join(PURPOSES)}")
    return name
