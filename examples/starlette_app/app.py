"""The example site under Starlette. Run it behind a simulated gateway as README.md says."""

import secrets
from typing import Any
from urllib.parse import parse_qs

from jinja2 import Environment, FileSystemLoader
from starlette.applications import Starlette
from starlette.authentication import requires
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates

from alias_middleware import Item
from alias_middleware.asgi import AliasMiddleware
from alias_middleware.starlette import AliasBackend, get_visitor
from examples.site import JINJA, NEWS, RINGTONES, STATIC, TEMPLATES, keep_choices, markup, page, settings

templates = Jinja2Templates(env=Environment(loader=FileSystemLoader(TEMPLATES), **JINJA))


def render(request: Request, template: str, **content: Any) -> Response:
    suffix, media_type = markup(request.headers.get("accept", ""))
    context = page(get_visitor(request), **content)
    headers = {"Vary": "Accept"}
    return templates.TemplateResponse(request, f"{template}.{suffix}", context, 200, headers, media_type)


async def form_of(request: Request) -> dict[str, list[str]]:
    return parse_qs((await request.body()).decode())


async def home(request: Request) -> Response:
    get_visitor(request).page(title="home")
    return render(request, "home")


async def news(request: Request) -> Response:
    category, visitor = request.path_params["category"], get_visitor(request)
    if category not in NEWS:
        raise HTTPException(404)
    visitor.page(category=category, title="news")
    visitor.profile.increment(f"read {category}")
    return render(request, "news", category=category)


async def shop(request: Request) -> Response:
    get_visitor(request).page(title="shop")
    return render(request, "shop")


@requires("visitor")
async def buy(request: Request) -> Response:
    visitor = get_visitor(request)
    tone = RINGTONES.get((await form_of(request)).get("sku", [""])[0])
    if tone is None:
        raise HTTPException(400)
    order_id = f"CMD-{secrets.token_hex(8)}"
    visitor.purchase(order_id, [Item(tone.sku, tone.name, tone.category, tone.price)], currency="EUR")
    visitor.profile.append("ringtones", tone.sku, limit=3)
    return RedirectResponse("/shop", 303)


async def choices(request: Request) -> Response:
    get_visitor(request).page(title="settings")
    return render(request, "settings")


async def choose(request: Request) -> Response:
    keep_choices(get_visitor(request), await form_of(request))
    return RedirectResponse("/", 303)


def create_app(**engine: Any) -> Starlette:
    return Starlette(
        routes=[
            Route("/", home),
            Route("/news/{category}", news),
            Route("/shop", shop),
            Route("/shop", buy, methods=["POST"]),
            Route("/settings", choices),
            Route("/settings", choose, methods=["POST"]),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        middleware=[
            Middleware(AliasMiddleware, **engine or settings()),  # the one line
            Middleware(AuthenticationMiddleware, backend=AliasBackend()),
        ],
    )
