"""What is compared, by framework."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from benchmarks.compare import asgi_ways, flask_ways
from benchmarks.compare.site import Site, Surroundings


class Way(NamedTuple):
    """A library in a framework. `remote`: the pages are counted by the server of events, not by the site."""

    name: str
    framework: str
    package: str | None
    build: Callable[[Surroundings], Site]
    redis: bool = False
    remote: bool = False


BARE = {"Flask": flask_ways.bare_flask, "ASGI": asgi_ways.bare_asgi}
"""The app of each framework with nothing added."""

WAYS = (
    Way("Flask's own session, a cookie", "Flask", None, flask_ways.own_session),
    Way("Flask-Session, files", "Flask", "flask-session", flask_ways.files_session),
    Way("Flask-Session, Redis", "Flask", "flask-session", flask_ways.redis_session, redis=True),
    Way("PostHog's SDK", "Flask", "posthog", flask_ways.flask_posthog, remote=True),
    Way("alias_middleware, the page recorded", "Flask", None, flask_ways.flask_pages),
    Way("alias_middleware, and a preference changed", "Flask", None, flask_ways.flask_preference),
    Way("SessionMiddleware, a cookie", "ASGI", "starlette", asgi_ways.cookie_session),
    Way("starsessions, memory", "ASGI", "starsessions", asgi_ways.star_memory),
    Way("starsessions, Redis", "ASGI", "starsessions", asgi_ways.star_redis, redis=True),
    Way("PostHog's SDK", "ASGI", "posthog", asgi_ways.asgi_posthog, remote=True),
    Way("alias_middleware, the page recorded", "ASGI", None, asgi_ways.asgi_pages),
    Way("alias_middleware, and a preference changed", "ASGI", None, asgi_ways.asgi_preference),
)
"""What is compared, by framework."""
