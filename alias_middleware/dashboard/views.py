"""What each route shows: a page is gathered, its pictures drawn, and laid out. Nothing is computed here."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from alias_middleware.contact import OFFERS
from alias_middleware.dashboard.desk import Desk
from alias_middleware.dashboard.nonsense import NonsenseError
from alias_middleware.dashboard.page import Page
from alias_middleware.dashboard.pages import campaigns, figures, health, visitor, visitors
from alias_middleware.dashboard.pictures import Panel, Picture, funnel, panel, planned
from alias_middleware.dashboard.tables import Table, csv_of
from alias_middleware.dashboard.words import CATALOGUES

_MOST_SKIPPED = 1_000_000
_LONGEST_NUMBER = 9


def show_overview(desk: Desk, request: Request, page: Page) -> Response:
    """Show the figures of a period: what is asked for first is being drawn while the rest is asked for."""

    def laid(table: Table) -> Panel:
        return panel(table, page.words, desk.policy, desk.drawer)

    found = desk.latest.overview(desk.period(page), laid)
    panels = [laid(table) for table in found.tables]
    period = desk.period(page)
    attached_on = desk.tracker.statistics.attached_before(period.until, period.service)
    return desk.render("overview.html", page, cells=found.cells, panels=panels, attached_on=attached_on)


def download(desk: Desk, request: Request, page: Page) -> Response:
    """Give a table as CSV."""
    make = figures.TABLES.get(request.path_params["name"])
    if make is None:
        raise HTTPException(404)
    period = desk.period(page)
    table = make(desk.tracker.statistics, period)
    name = f"{table.name}-{period.since}-{period.last}.csv"
    return _csv(csv_of(table), name)


def _csv(text: str, name: str) -> Response:
    disposition = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(text, media_type="text/csv; charset=utf-8", headers=disposition)


def show_visitors(desk: Desk, request: Request, page: Page) -> Response:
    """Show a page of visitors, each with a link that does not say who he is."""
    after = request.query_params.get("after")
    found = visitors.gather(
        desk.tracker, request.query_params.get("order", ""), desk.gate.unsealed(after) if after else None
    )
    return desk.render(
        "visitors.html",
        page,
        found=found,
        orders=visitors.ORDERS,
        sealed=desk.gate.sealed,
        namespace=desk.tracker.settings.namespace,
    )


def find_visitor(desk: Desk, request: Request, page: Page, form: Mapping[str, str]) -> Response:
    """Lead from an alias, typed into a form, to the page of its visitor."""
    alias = form.get("alias", "").strip()
    if not desk.tracker.settings.source.accepts(alias):
        page = page._replace(name="visitors")
        return desk.render("error.html", page, status=400, text=page.words("visitors.no_alias"))
    return RedirectResponse(page.link(f"visitor/{desk.gate.sealed(alias)}"), 303)


def show_visitor(desk: Desk, request: Request, page: Page) -> Response:
    """Show everything that is known of one visitor."""
    alias = desk.gate.unsealed(request.path_params["visitor"])
    skip = _skipped(request.query_params.get("skip") or "0")
    message = visitor.message_of(request.query_params) if page.has_campaigns else None
    return desk.render(
        "visitor.html",
        page,
        visitor=page.alias(alias),
        found=visitor.gather(desk.tracker, alias, skip),
        skip=skip,
        size=visitor.PAGE,
        here=page.link(f"visitor/{request.path_params['visitor']}"),
        message=message,
        verdict=None if message is None else visitor.judge(desk.tracker, alias, message),
        offers=list(OFFERS),
        kinds=visitor.KINDS,
        json=lambda value: value if isinstance(value, str) else msgspec.json.encode(value).decode(),
    )


def _skipped(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise NonsenseError("history")
    return min(int(text[:_LONGEST_NUMBER]), _MOST_SKIPPED)


def show_campaigns(desk: Desk, request: Request, page: Page) -> Response:
    """Show where the campaigns stand."""
    if not page.has_campaigns:
        raise HTTPException(404)
    found = campaigns.gather(desk.tracker)
    title = page.words("table.campaigns")
    drawn = planned(found.table)
    picture = Picture(title, desk.drawer.draw(funnel(found.table, page.words))) if drawn else None
    return desk.render("campaigns.html", page, found=found, picture=picture)


def download_campaigns(desk: Desk, request: Request, page: Page) -> Response:
    """Give the campaigns as CSV."""
    if not page.has_campaigns:
        raise HTTPException(404)
    return _csv(csv_of(campaigns.gather(desk.tracker).table), "campaigns.csv")


def show_health(desk: Desk, request: Request, page: Page) -> Response:
    """Show how the recording does."""
    return desk.render("health.html", page, found=health.gather(desk.tracker))


def choose_language(desk: Desk, request: Request, page: Page, form: Mapping[str, str]) -> Response:
    """Keep the language that the reader chose, for his session."""
    if (chosen := form.get("language")) not in CATALOGUES or page.session is None:
        raise NonsenseError("language")
    session = msgspec.structs.replace(page.session, language=chosen)
    return desk.let_in(RedirectResponse(_back(page, form), 303), request, session)


def choose_aliases(desk: Desk, request: Request, page: Page, form: Mapping[str, str]) -> Response:
    """Show aliases whole, or shortened, for this session."""
    if page.session is None:
        raise HTTPException(403)
    session = msgspec.structs.replace(page.session, revealed=form.get("whole") == "yes")
    return desk.let_in(RedirectResponse(page.link("visitors"), 303), request, session)


def _back(page: Page, form: Mapping[str, str]) -> str:
    """Give the page that a form was on, as far as it can be said without naming anybody."""
    name = form.get("back", "")
    return page.link(name if name in ("visitors", "campaigns", "health") else "")
