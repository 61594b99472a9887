"""The audience at a glance: a Starlette app to serve by itself or to mount in a site, and a report in one file.

Reads a tracker; all that it leaves is a row of the audit for each look at a visitor. Comes with the extra
`dashboard`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence

from starlette.applications import Starlette

from alias_middleware.dashboard.app import make_app
from alias_middleware.dashboard.desk import Desk
from alias_middleware.dashboard.drawing import Drawer
from alias_middleware.dashboard.security import Gate
from alias_middleware.errors import SettingsError
from alias_middleware.secret import secret_bytes
from alias_middleware.tracker import Tracker

__all__ = ["PASSWORD_VARIABLE", "dashboard"]

PASSWORD_VARIABLE = "ALIAS_DASHBOARD_PASSWORD"


def dashboard(
    tracker: Tracker,
    *,
    password: str | None = None,
    secret_keys: Sequence[str | bytes] | None = None,
    services: Sequence[str] = (),
    gate: Gate | None = None,
    drawer: Drawer | None = None,
    now: Callable[[], float] = time.time,
    entropy: Callable[[int], bytes] = os.urandom,
) -> Starlette:
    """Make the dashboard of a tracker; a site mounts it as `Mount("/stats", ...)`.

    Where it is mounted in a site that the middleware wraps, put its path among `excluded_paths`.

    Args:
        tracker: whose figures are shown.
        password: opens it; ALIAS_DASHBOARD_PASSWORD by default. At least 8 characters.
        secret_keys: sign sessions and encrypt visitors' names in URLs, the tracker's own by default. All
            processes of a site need the same.
        services: names of other services of the namespace that can be chosen.
        gate: decides who is let in, instead of password and keys.
        drawer: has the pictures drawn, where several dashboards share one; its owner closes it.
        now: seconds since the epoch.
        entropy: gives random bytes.

    Raises:
        SettingsError: there is no password or no key: it is never open.
    """
    if gate is None:
        password = password or os.environ.get(PASSWORD_VARIABLE)
        if not password:
            raise SettingsError(f"give one, or set {PASSWORD_VARIABLE}: it is never open", setting="password")
        keys = tracker.settings.secret_keys if secret_keys is None else secret_keys
        made = [secret_bytes(key, setting="secret_keys") for key in keys]
        gate = Gate(made, password, now=now, entropy=entropy)
    return make_app(Desk(tracker, gate, services=services, drawer=drawer, now=now))
