"""Fires forgeries at a deployment, and finds in its storage which of them got through.

The site answers no question of the doctor's: nothing is added to it that a forger might use. Each forgery claims
an alias of its own, made up and unknown to the storage. Whatever is recorded of one is the proof, and is erased.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from alias_middleware.continuity import COOKIE
from alias_middleware.doctor import forgeries
from alias_middleware.doctor.findings import Finding, Level, Shot, fail, ok, warn
from alias_middleware.doctor.forgeries import Forgery, Words
from alias_middleware.doctor.wire import Reply, Target, ask
from alias_middleware.identity import WapNetworkInfo
from alias_middleware.tracker import Tracker

_TIMEOUT = 10.0
_MOST_GATEWAYS = 3
_ALIASES = 10**12
_SKEW_SECONDS = 5

Wait = Callable[[Callable[[], bool]], bool]
"""Repeats a step until it succeeds or patience ends."""


class Probe(NamedTuple):
    """A deployment to be probed. `as_gateway`: it trusts this machine, which plays the operator's gateway."""

    target: Target
    tracker: Tracker
    entropy: Callable[[int], bytes]
    wait: Wait
    as_gateway: bool = False

    def ask(self, *lines: str) -> Reply:
        """Ask for the page."""
        return ask(self.target, lines, _TIMEOUT)

    def unknown_alias(self) -> str:
        """Make up an alias that the storage knows nothing of."""
        while True:
            alias = f"{int.from_bytes(self.entropy(8)) % _ALIASES:012}"
            if not self.knows(alias):
                return alias

    def knows(self, alias: str) -> bool:
        """Whether anything is stored of an alias.

        Raises:
            StorageError: the storage does not answer.
        """
        stored = self.tracker.privacy.export(alias, requester="doctor", reason="a forgery of its own")
        return any(stored[kind] for kind in ("history", "preferences", "personal", "consents"))

    def unidentified(self) -> int:
        """Give the pages shown to strangers these days."""
        today, day = datetime.now(UTC).date(), timedelta(days=1)
        return self.tracker.statistics.summary(today - day, today + 2 * day).unidentified_page_views


def is_served(probe: Probe) -> tuple[Reply, list[Finding]]:
    """Ask for the page as a stranger, which also sets the site's own writer to work."""
    reply = probe.ask()
    kind = reply.said("content-type").partition(";")[0].strip().lower()
    found = [*_skew(reply)]
    if reply.status == 0:
        found.append(fail("url", "nobody answers", "check the URL and that the site runs"))
    elif reply.status != 200 or kind not in probe.tracker.settings.page_types:
        what = f"the answer is {reply.status} {kind}: no page view"
        found.append(fail("url", what, "give the URL of a page that anybody may see: only those leave a trace"))
    return reply, found


def _skew(reply: Reply) -> Iterator[Finding]:
    try:
        said = parsedate_to_datetime(reply.said("date"))
        seconds = abs((datetime.now(UTC) - said).total_seconds())
    except (ValueError, TypeError):
        return
    if seconds > _SKEW_SECONDS:
        yield warn("clock", f"the server's clock differs from ours by {seconds:.0f} s", "use NTP on both")


def probe_forgeries(probe: Probe) -> tuple[list[Finding], list[Shot]]:
    """Fire all forgeries, and tell what got through.

    Raises:
        StorageError: the storage failed meanwhile; what the doctor made up is then not erased.
    """
    if not isinstance(probe.tracker.settings.source, WapNetworkInfo):
        return [warn("forgeries", "are made for wap-network-info only", "try docs/servers.md by hand")], []
    blind = [] if probe.as_gateway else _not_recorded(probe)
    if blind:
        return blind, []
    fired: list[tuple[Forgery, str, Reply]] = []
    unseen: list[str] = []
    own = probe.unknown_alias()
    try:
        if probe.as_gateway and (missing := _not_recognised(probe, own)):
            return missing, []
        for make in _makers(probe, own):
            victim = probe.unknown_alias()
            forgery = make(victim)
            fired.append((forgery, victim, probe.ask(*forgery.lines)))
        if not probe.tracker.flush():
            unseen = [victim for _, victim, _ in fired]
            remedy = "see what is said of the drainer; what may be left of made-up aliases is erased"
            return [
                fail("forgeries", "what they left could not be looked at: the spool is not drained", remedy)
            ], []
        shots = [_shot(probe, *each) for each in fired]
    finally:
        late = [victim for _, victim, reply in fired if reply.late]
        _erase(probe, [own, *(victim for _, victim, _ in fired)], [*late, *unseen])
    causes = [forgery.cause for forgery, _, _ in fired]
    return [*_verdicts(probe, shots, causes)], shots


def _not_recorded(probe: Probe) -> list[Finding]:
    """Check that a page shown to a stranger is counted in the storage at hand; else no forgery would be seen."""
    before = probe.unidentified()

    def is_counted() -> bool:
        probe.ask()
        return probe.tracker.flush() and probe.unidentified() > before

    if probe.wait(is_counted):
        return []
    what = "what the page records does not come into this storage, so nothing can be told"
    return [fail("forgeries", what, "say --storage, --spool and --service as the site has them, on its machine")]


def _not_recognised(probe: Probe, own: str) -> list[Finding]:
    """Check that the site believes this machine as a gateway."""
    words = _words(probe, own, own)
    lines = [words.line(own), *([words.secret] if words.secret else [])]

    def is_recorded() -> bool:
        probe.ask(*lines)
        return probe.tracker.flush() and probe.knows(own)

    if probe.wait(is_recorded):
        return []
    what = "the header of this machine is not believed, or what is recorded does not come into this storage"
    return [fail("gateway", what, "check trusted_gateways, gateway_secret, --storage, --spool and --service")]


def _words(probe: Probe, victim: str, own: str) -> Words:
    settings = probe.tracker.settings
    secret = "" if settings.gateway_secret is None else ": ".join(settings.gateway_secret)
    trusted = [entry.partition("/")[0] for entry in settings.trusted_gateways if entry != "unix"]
    peers = list(dict.fromkeys([*trusted[:_MOST_GATEWAYS], "127.0.0.1"]))
    return Words(settings.source.header, victim, own, secret, peers)


def _makers(probe: Probe, own: str) -> Iterator[Callable[[str], Forgery]]:
    """Give what makes each forgery, the same in each call, for a victim of its own."""
    catalogue = forgeries.through_a_gateway if probe.as_gateway else forgeries.of_a_stranger

    def maker(place: int) -> Callable[[str], Forgery]:
        return lambda victim: catalogue(_words(probe, victim, own))[place]

    yield from map(maker, range(len(catalogue(_words(probe, own, own)))))


def _shot(probe: Probe, forgery: Forgery, victim: str, reply: Reply) -> Shot:
    given_cookie = any(value.startswith(f"{COOKIE}=") for value in reply.all("set-cookie"))
    named = probe.knows(victim) or (given_cookie and not probe.as_gateway)
    return Shot(forgery.name, reply.status, named)


def _erase(probe: Probe, aliases: Sequence[str], late: Sequence[str]) -> None:
    """Erase what is known of made-up aliases, and what requests without an answer may still record."""
    for alias in aliases:
        if alias in late or probe.knows(alias):
            probe.tracker.privacy.erase(alias)


def _verdicts(probe: Probe, shots: Sequence[Shot], causes: Sequence[str]) -> Iterator[Finding]:
    """Tell what got through, by cause. Where the header itself does, how a stranger dresses it tells nothing."""
    through: dict[str, list[str]] = {}
    for shot, cause in zip(shots, causes, strict=True):
        if shot.named:
            through.setdefault(cause, []).append(shot.forgery)
    if not through:
        yield ok("forgeries", f"{len(shots)} fired, none got through")
    if forgeries.COPY in through and not probe.as_gateway:
        through = {cause: through[cause] for cause in (forgeries.COPY, forgeries.TWIN) if cause in through}
    level = Level.WARN if probe.as_gateway else Level.FAIL
    behind = "behind a gateway that passes it on, " if probe.as_gateway else ""
    for cause, names in through.items():
        measured = f"{behind}{forgeries.CAUSES[cause]}: {'; '.join(names)}"
        yield Finding(level, "forgeries", measured, forgeries.REMEDIES[cause])


def caching(header: str, reply: Reply) -> list[Finding]:
    """Check that a shared cache will not hand one visitor's page to another. `header`: the operator's."""
    vary = {name.strip().lower() for name in reply.said("vary").split(",")}
    control = reply.said("cache-control").lower()
    shareable = (
        ("public" in control or "max-age" in control) and "private" not in control and "no-store" not in control
    )
    if not {header, "*"} & vary:
        if shareable:
            return [ok("caches", "the page says nothing of a visitor, and may be kept by caches")]
        return [ok("caches", "the page does not look at the visitor, or a proxy removed Vary")]
    if not control:
        what = "a personal page comes without Cache-Control: a proxy removed it"
        return [fail("caches", what, "let the proxy pass Cache-Control on: a cache would hand the page to others")]
    if shareable:
        what = f"a personal page may be kept by shared caches ({control})"
        return [warn("caches", what, "caches that overlook Vary hand it to others: let the app say private")]
    return [ok("caches", f"personal, Vary has {header}, Cache-Control is {control}")]
