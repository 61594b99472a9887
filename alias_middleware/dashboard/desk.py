"""What handlers work with: the tracker, the gate, the templates, and who is asking."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any
from urllib.parse import parse_qsl

from jinja2 import Environment, PackageLoader
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from alias_middleware.contact import Policy
from alias_middleware.dashboard.drawing import Drawer
from alias_middleware.dashboard.nonsense import NonsenseError
from alias_middleware.dashboard.page import Page
from alias_middleware.dashboard.pages.overview import Latest
from alias_middleware.dashboard.period import PRESETS, Period, latest, read_period
from alias_middleware.dashboard.security import SESSION_SECONDS, Gate, Session
from alias_middleware.dashboard.triangle import lines_of
from alias_middleware.dashboard.words import Words, language_of
from alias_middleware.errors import SettingsError
from alias_middleware.figures import EVERY_SERVICE
from alias_middleware.local_time import from_micros
from alias_middleware.tracker import Tracker

SESSION_COOKIE = "alias_dashboard"
NONCE_COOKIE = "alias_dashboard_form"

_FORM_BYTES = 8_192


class Desk:
    """One dashboard of one tracker. `now` gives seconds since the epoch."""

    def __init__(
        self,
        tracker: Tracker,
        gate: Gate,
        *,
        services: Sequence[str],
        drawer: Drawer | None,
        now: Callable[[], float],
    ) -> None:
        self.tracker = tracker
        self.gate = gate
        self.policy: Policy = tracker.settings.contact_policy()
        own = tracker.settings.service
        self.services = tuple(dict.fromkeys([own, *services, EVERY_SERVICE]))
        self._now = now
        self.templates = templates()
        self.drawer = drawer or Drawer()
        self._owns_drawer = drawer is None
        self.latest = Latest(tracker)

    def close(self) -> None:
        """End the pictures' engine, unless others share it."""
        if self._owns_drawer:
            self.drawer.close()

    def now(self) -> datetime:
        """Give the moment, aware."""
        return from_micros(int(self._now() * 1_000_000))

    def today(self) -> date:
        """Give the service's local day."""
        return self.now().astimezone(self.tracker.settings.tzinfo).date()

    def session(self, request: Request) -> Session | None:
        """Give the session of a request, None where nobody is signed in."""
        return self.gate.read_cookie(request.cookies.get(SESSION_COOKIE, ""))

    def page(self, name: str, request: Request, session: Session | None) -> Page:
        """Make the page of a request.

        Raises:
            NonsenseError: its period makes no sense.
        """
        chosen = session.language if session is not None else None
        language = chosen or language_of(request.headers.get("accept-language", ""))
        owner = session.id if session is not None else request.cookies.get(NONCE_COOKIE, "")
        return Page(
            name=name,
            words=Words(language, self.tracker.settings.tzinfo),
            root=str(request.scope.get("root_path", "")).rstrip("/"),
            token=self.gate.form_token(owner) if owner else "",
            session=session,
            period=read_period(request.query_params, today=self.today(), services=self.services),
            services=self.services,
            has_campaigns=self._keeps_campaigns(),
        )

    def plain_page(self, request: Request, session: Session | None = None) -> Page:
        """Make a page whatever the query says: for signing in, and for saying what is wrong."""
        period = latest(1, self.today(), self.services[0])
        language = language_of(request.headers.get("accept-language", ""))
        words = Words(session.language if session and session.language else language, self.tracker.settings.tzinfo)
        root = str(request.scope.get("root_path", "")).rstrip("/")
        token = self.gate.form_token(session.id) if session is not None else ""
        return Page("", words, root, token, session, period, self.services, self._keeps_campaigns())

    def period(self, page: Page) -> Period:
        """Give the period of a page."""
        return page.period or latest(1, self.today(), self.services[0])

    def render(self, template: str, page: Page, *, status: int = 200, **content: Any) -> Response:
        """Lay a page out."""
        shared = {
            "page": page,
            "words": page.words,
            "presets": PRESETS,
            "today": self.today(),
            "latest": latest,
            "zone": self.tracker.settings.zone,
        }
        body = self.templates.get_template(template).render({**shared, **content})
        return HTMLResponse(body, status)

    def let_in(self, response: Response, request: Request, session: Session) -> Response:
        """Give a session's cookie: to this path only, out of reach of scripts and of other sites."""
        self._keep(response, request, SESSION_COOKIE, self.gate.cookie(session), SESSION_SECONDS)
        return response

    def give_nonce(self, response: Response, request: Request, nonce: str) -> Response:
        """Give the cookie that belongs to the form for signing in."""
        self._keep(response, request, NONCE_COOKIE, nonce, SESSION_SECONDS)
        return response

    @staticmethod
    def _keep(response: Response, request: Request, name: str, value: str, seconds: int) -> None:
        response.set_cookie(
            name,
            value,
            max_age=seconds,
            path=f"{request.scope.get('root_path', '').rstrip('/')}/",
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )

    def _keeps_campaigns(self) -> bool:
        try:
            self.tracker.storage.outbox()
        except SettingsError:
            return False
        return True


def templates() -> Environment:
    """Make the templates: everything is escaped."""
    made = Environment(
        loader=PackageLoader("alias_middleware.dashboard"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["lines_of"] = lines_of
    return made


async def form_of(request: Request) -> dict[str, str]:
    """Read a form of at most 8 kB.

    Raises:
        NonsenseError: it is longer.
        ValueError: it is no form.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _FORM_BYTES:
            raise NonsenseError("form")
    return dict(parse_qsl(body.decode("utf-8", "replace"), max_num_fields=20))
