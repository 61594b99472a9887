"""Starlette and FastAPI: the middleware added as usual, the visitor as a dependency and as the user."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from starlette.applications import Starlette
from starlette.authentication import requires
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from alias_middleware import Tracker, Visitor, current_visitor
from alias_middleware.asgi import AliasMiddleware
from alias_middleware.errors import SettingsError
from alias_middleware.starlette import AliasBackend, get_visitor
from tests.support.site import ALIAS, GATEWAY, STRANGER

NAMED = {"wap-network-info": f"mUserAlias:{ALIAS}"}


@pytest.fixture
def tracker() -> Iterator[Tracker]:
    """A tracker in memory that trusts the operator's gateways."""
    tracker = Tracker(
        service="sonneries", storage="memory://", trusted_gateways=["10.12.0.0/16"], raise_errors=True
    )
    yield tracker
    tracker.close()


def browser(app: Any, peer: str = GATEWAY) -> TestClient:
    """A browser whose requests come from this address."""
    return TestClient(app, client=(peer, 4711))


async def home(request: Request) -> Response:
    """A page that says who is there, by every way there is."""
    visitor = get_visitor(request)
    assert visitor is request.state.visitor is request.scope["alias_middleware.visitor"] is current_visitor.get()
    return PlainTextResponse(str(visitor.alias))


def threaded(request: Request) -> Response:
    """A page on a worker thread, where blocking calls belong."""
    visitor = current_visitor.get()
    return PlainTextResponse(f"{visitor.alias} {visitor.history()}")


async def chat(websocket: WebSocket) -> None:
    """A websocket that greets and ends."""
    await websocket.accept()
    await websocket.send_text(str(get_visitor(websocket).alias))
    await websocket.close()


@requires("visitor")
async def mine(request: Request) -> Response:
    """A page for recognised visitors only."""
    assert request.user is get_visitor(request)
    return PlainTextResponse(f"{request.user.alias} {request.user.is_authenticated} {request.user.display_name}")


ROUTES = [
    Route("/", home),
    Route("/threaded", threaded),
    Route("/mine", mine),
    WebSocketRoute("/chat", chat),
]


def test_starlette(tracker: Tracker) -> None:
    """`add_middleware` is all it takes; endpoints on threads see the visitor too."""
    app = Starlette(routes=ROUTES)
    app.add_middleware(AliasMiddleware, tracker=tracker)
    with browser(app) as client:
        assert client.get("/", headers=NAMED).text == ALIAS
        assert client.get("/threaded", headers=NAMED).text == f"{ALIAS} []"
        assert client.get("/").text == "None"
        with client.websocket_connect("/chat", headers=NAMED) as socket:
            assert socket.receive_text() == ALIAS
    with browser(app, STRANGER) as client:
        assert client.get("/", headers=NAMED).text == "None"
    with TestClient(app) as client:  # whose address is "testclient"
        assert client.get("/", headers=NAMED).text == "None"


def test_the_user(tracker: Tracker) -> None:
    """With `AliasBackend` the visitor is `request.user`, and `@requires("visitor")` guards a page."""
    app = Starlette(
        routes=ROUTES,
        middleware=[
            Middleware(AliasMiddleware, tracker=tracker),
            Middleware(AuthenticationMiddleware, backend=AliasBackend()),
        ],
    )
    with browser(app) as client:
        answer = client.get("/mine", headers=NAMED)
        assert answer.text == f"{ALIAS} True visitor"
        assert answer.headers["cache-control"] == "private"
        assert client.get("/mine").status_code == 403


def test_fastapi(tracker: Tracker) -> None:
    """`get_visitor` is a dependency of requests and websockets."""
    app = FastAPI()
    app.add_middleware(AliasMiddleware, tracker=tracker)

    @app.get("/")
    def home(visitor: Annotated[Visitor, Depends(get_visitor)]) -> dict[str, str | None]:
        return {"alias": visitor.alias}

    @app.get("/history")
    async def history(visitor: Annotated[Visitor, Depends(get_visitor)]) -> int:
        return len(await run_in_threadpool(visitor.history))

    @app.websocket("/chat")
    async def chat(websocket: WebSocket, visitor: Annotated[Visitor, Depends(get_visitor)]) -> None:
        await websocket.accept()
        await websocket.send_json({"alias": visitor.alias})
        await websocket.close()

    with browser(app) as client:
        assert client.get("/", headers=NAMED).json() == {"alias": ALIAS}
        assert client.get("/").json() == {"alias": None}
        assert client.get("/history", headers=NAMED).json() == 0
        with client.websocket_connect("/chat", headers=NAMED) as socket:
            assert socket.receive_json() == {"alias": ALIAS}


def test_an_app_without_the_middleware() -> None:
    """The error says what to add."""
    with browser(Starlette(routes=ROUTES)) as client, pytest.raises(SettingsError, match="add_middleware"):
        client.get("/")


@pytest.mark.parametrize(
    ("forwarded", "recognised"),
    [
        pytest.param("10.12.0.1", True, id="the gateway behind the site's proxy"),
        pytest.param("203.0.113.9", False, id="a stranger behind it"),
        pytest.param("10.12.0.1, 203.0.113.9", False, id="a stranger who forges the list"),
        pytest.param("garbage", False, id="garbage"),
    ],
)
def test_behind_the_sites_own_proxy(tracker: Tracker, forwarded: str, recognised: bool) -> None:
    """uvicorn's `--proxy-headers` goes outside; what it makes of garbage is not trusted."""
    app = Starlette(routes=ROUTES)
    app.add_middleware(AliasMiddleware, tracker=tracker)
    wrapped: Any = ProxyHeadersMiddleware(app, trusted_hosts=["127.0.0.1"])  # type: ignore[arg-type]
    with browser(wrapped, "127.0.0.1") as client:
        answer = client.get("/", headers={**NAMED, "X-Forwarded-For": forwarded})
    assert answer.text == (ALIAS if recognised else "None")


def test_the_app_does_not_see_the_header(tracker: Tracker) -> None:
    """Endpoints get every header but the operator's."""

    async def names(request: Request) -> Response:
        return PlainTextResponse(" ".join(request.headers))

    app = Starlette(routes=[Route("/", names)])
    app.add_middleware(AliasMiddleware, tracker=tracker)
    with browser(app) as client:
        names_seen = client.get("/", headers={**NAMED, "x-own": "1"}).text.split()
    assert "x-own" in names_seen
    assert "wap-network-info" not in names_seen
