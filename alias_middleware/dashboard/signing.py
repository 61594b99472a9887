"""Signing in and out: by the password, or by the signed link printed at the start. No GET changes anything."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from alias_middleware.dashboard.desk import NONCE_COOKIE, SESSION_COOKIE, Desk
from alias_middleware.dashboard.page import Page

_MINUTES = 15


def show_login(desk: Desk, request: Request, *, problem: str = "", status: int = 200) -> Response:
    """Show the form for signing in, with a fresh token; meanwhile the pictures' engine starts."""
    desk.drawer.warm_up()
    nonce = request.cookies.get(NONCE_COOKIE) or desk.gate.nonce()
    page = desk.plain_page(request)._replace(name="login", token=desk.gate.form_token(nonce))
    link = request.path_params.get("link", "")
    good = bool(link) and desk.gate.opens_by_link(link)
    if link and not good:
        problem, status = problem or page.words("login.link_expired"), 403
    answer = desk.render(
        "login.html",
        page,
        status=status,
        problem=problem,
        link=link if good else "",
        password=desk.gate.asks_for_password,
    )
    return desk.give_nonce(answer, request, nonce)


def sign_in(desk: Desk, request: Request, form: Mapping[str, str]) -> Response:
    """Let in who has the password or a good link."""
    words, gate = desk.plain_page(request).words, desk.gate
    if not gate.made_form(form.get("token", ""), request.cookies.get(NONCE_COOKIE, "")):
        return show_login(desk, request, problem=words("login.form_expired"), status=403)
    if not _opens(desk, request, form):
        address = address_of(request)
        if not gate.may_try(address):
            answer = show_login(desk, request, problem=words("login.too_often", minutes=_MINUTES), status=429)
            answer.headers["Retry-After"] = str(_MINUTES * 60)
            return answer
        wrong = "login.link_expired" if form.get("link") else "login.wrong"
        return show_login(desk, request, problem=words(wrong), status=403)
    root = str(request.scope.get("root_path", "")).rstrip("/")
    answer = desk.let_in(RedirectResponse(f"{root}/", 303), request, gate.session())
    answer.delete_cookie(NONCE_COOKIE, path=f"{root}/")
    return answer


def _opens(desk: Desk, request: Request, form: Mapping[str, str]) -> bool:
    if link := form.get("link"):
        return desk.gate.spend_link(link)
    address = address_of(request)
    return desk.gate.may_try(address) and desk.gate.opens_by_password(form.get("password", ""), address)


def sign_out(desk: Desk, request: Request, page: Page, form: Mapping[str, str]) -> Response:
    """Take the session's cookie away."""
    answer = RedirectResponse(page.link("login"), 303)
    answer.delete_cookie(SESSION_COOKIE, path=f"{page.root}/")
    return answer


def address_of(request: Request) -> str:
    """Give the address that wrong passwords count against."""
    return request.client.host if request.client is not None else ""
