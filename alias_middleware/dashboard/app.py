"""The Starlette app: routes, who may pass, and the headers of every answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Lifespan, Message, Receive, Scope, Send

from alias_middleware.dashboard import signing, views
from alias_middleware.dashboard.desk import Desk, form_of
from alias_middleware.dashboard.nonsense import NonsenseError
from alias_middleware.dashboard.page import Page
from alias_middleware.errors import StorageError

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex, nofollow",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""The headers of every answer, styles included."""

_STATIC = {"style.css": "text/css", "icon.svg": "image/svg+xml"}

View = Callable[[Desk, Request, Page], Response]
FormView = Callable[[Desk, Request, Page, Mapping[str, str]], Response]
Endpoint = Callable[[Request], Awaitable[Response]]


def make_app(desk: Desk) -> Starlette:
    """Make the app of a desk."""
    return Starlette(
        routes=[
            Route("/", _page(desk, "overview", views.show_overview)),
            Route("/table/{name}.csv", _page(desk, "overview", views.download)),
            Route("/visitors", _page(desk, "visitors", views.show_visitors)),
            Route("/visitors", _form(desk, views.find_visitor), methods=["POST"]),
            Route("/visitor/{visitor}", _page(desk, "visitors", views.show_visitor)),
            Route("/campaigns", _page(desk, "campaigns", views.show_campaigns)),
            Route("/campaigns.csv", _page(desk, "campaigns", views.download_campaigns)),
            Route("/health", _page(desk, "health", views.show_health)),
            Route("/language", _form(desk, views.choose_language), methods=["POST"]),
            Route("/aliases", _form(desk, views.choose_aliases), methods=["POST"]),
            Route("/login", _login(desk), methods=["GET", "POST"]),
            Route("/enter/{link}", _login(desk)),
            Route("/logout", _form(desk, signing.sign_out), methods=["POST"]),
            Route("/static/{name}", _in_thread(_static)),
        ],
        middleware=[Middleware(_SafeHeaders)],
        exception_handlers={HTTPException: _wrong(desk)},
        lifespan=_lifespan(desk),
    )


def _lifespan(desk: Desk) -> Lifespan[Starlette]:
    """Where it is served by itself the pictures' engine starts with the server, and ends with it."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        desk.drawer.warm_up()
        yield
        await run_in_threadpool(desk.close)

    return lifespan


def _page(desk: Desk, name: str, view: View) -> Endpoint:
    """Let a view be seen by who is signed in; others are sent to sign in."""

    def show(request: Request) -> Response:
        session = desk.session(request)
        if session is None:
            return RedirectResponse(desk.plain_page(request).link("login"), 303)
        try:
            return view(desk, request, desk.page(name, request, session))
        except ValueError as error:
            raise _refused(error) from error
        except StorageError as error:
            raise HTTPException(503) from error

    return _in_thread(show)


def _form(desk: Desk, view: FormView) -> Endpoint:
    """Let a form be sent by who is signed in and was given it."""

    def take(request: Request, form: Mapping[str, str]) -> Response:
        session = desk.session(request)
        if session is None:
            return RedirectResponse(desk.plain_page(request).link("login"), 303)
        if not desk.gate.made_form(form.get("token", ""), session.id):
            raise HTTPException(403)
        try:
            return view(desk, request, desk.page("", request, session), form)
        except ValueError as error:
            raise _refused(error) from error
        except StorageError as error:
            raise HTTPException(503) from error

    async def endpoint(request: Request) -> Response:
        return await run_in_threadpool(take, request, await _read(request))

    return endpoint


def _login(desk: Desk) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        if request.method == "POST":
            return await run_in_threadpool(signing.sign_in, desk, request, await _read(request))
        return await run_in_threadpool(signing.show_login, desk, request)

    return endpoint


def _refused(error: ValueError) -> HTTPException:
    """Say why in a word that has a translation."""
    return HTTPException(400, error.what if isinstance(error, NonsenseError) else "request")


async def _read(request: Request) -> dict[str, str]:
    try:
        return await form_of(request)
    except ValueError as error:
        raise _refused(error) from error


def _static(request: Request) -> Response:
    """Give a style sheet or an icon: they are few and small."""
    name = request.path_params["name"]
    if name not in _STATIC:
        raise HTTPException(404)
    return Response(
        files("alias_middleware.dashboard").joinpath("static", name).read_bytes(), media_type=_STATIC[name]
    )


def _in_thread(show: Callable[[Request], Response]) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        return await run_in_threadpool(show, request)

    return endpoint


def _wrong(desk: Desk) -> Callable[[Request, Any], Awaitable[Response]]:
    """Say on a page what is wrong."""

    def show(request: Request, error: HTTPException) -> Response:
        page = desk.plain_page(request, desk.session(request))
        words, key = page.words, f"error.{error.status_code}"
        why = words(f"why.{error.detail}") if error.status_code == 400 else ""
        text = words(key, why=why) if words.has(key) else error.detail
        return desk.render("error.html", page, status=error.status_code, text=text)

    async def handler(request: Request, error: HTTPException) -> Response:
        return await run_in_threadpool(show, request, error)

    return handler


class _SafeHeaders:
    """Adds the headers to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self.app(scope, receive, send_safely if scope["type"] == "http" else send)
