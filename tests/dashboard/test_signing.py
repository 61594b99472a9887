from __future__ import annotations

from datetime import timedelta
from typing import cast

import pytest
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from alias_middleware import Tracker
from alias_middleware.dashboard import PASSWORD_VARIABLE, dashboard
from alias_middleware.dashboard.app import HEADERS
from alias_middleware.dashboard.desk import NONCE_COOKIE
from alias_middleware.dashboard.drawing import Drawer
from alias_middleware.dashboard.security import Gate, Spent
from alias_middleware.errors import SettingsError
from tests.dashboard.audience import NOW, PASSWORD, make_client, make_tracker, sign_in, token_in

PAGES = ["/", "/table/pages.csv"]


def gate_of(moment: list[float], password: str | None = None) -> Gate:
    return Gate([b"k" * 32], password, now=lambda: moment[0], entropy=lambda n: b"e" * n)


@pytest.mark.parametrize("path", PAGES)
def test_nothing_is_shown_to_who_is_not_signed_in(stranger: TestClient, path: str) -> None:
    """Every page sends a stranger to sign in, and tells him nothing."""
    answer = stranger.get(path)
    assert (answer.status_code, answer.headers["location"], answer.text) == (303, "/login", "")


def test_a_password_opens(stranger: TestClient) -> None:
    """The right password gives a session whose cookie scripts and other sites do not get."""
    answer = sign_in(stranger)
    cookie = answer.headers.get_list("set-cookie")[0]
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert {"HttpOnly", "Path=/", "SameSite=strict"} <= set(cookie.split("; "))
    assert stranger.get("/").status_code == 200


def test_a_cookie_of_https_stays_there(audience: Tracker, drawer: Drawer) -> None:
    """Over HTTPS the cookie is never sent in the clear."""
    with make_client(audience, drawer) as client:
        client.base_url = client.base_url.copy_with(scheme="https")
        assert "Secure" in sign_in(client).headers.get_list("set-cookie")[0].split("; ")


def test_a_wrong_password_does_not(stranger: TestClient) -> None:
    """A wrong password is refused, and nothing is shown."""
    answer = sign_in(stranger, "wrong horse battery")
    assert answer.status_code == 403
    assert "That password is wrong." in answer.text
    assert stranger.get("/").status_code == 303


def test_guessing_is_stopped(stranger: TestClient) -> None:
    """After five wrong passwords even the right one has to wait."""
    for _ in range(5):
        sign_in(stranger, "wrong horse battery")
    answer = sign_in(stranger)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "900")
    assert stranger.get("/").status_code == 303


def test_guesses_are_forgotten() -> None:
    """A quarter of an hour later the address may try again."""
    moment = [0.0]
    gate = gate_of(moment, PASSWORD)
    for _ in range(5):
        assert not gate.opens_by_password("wrong", "10.0.0.1")
    assert not gate.may_try("10.0.0.1")
    assert gate.may_try("10.0.0.2")
    moment[0] = 15 * 60.0
    assert gate.may_try("10.0.0.1")


def test_a_form_for_signing_in_must_be_ours(stranger: TestClient) -> None:
    """The right password in a form that another site made opens nothing."""
    stranger.get("/login")
    for token in ("", "forged", make_gate_token()):
        answer = stranger.post("/login", data={"token": token, "password": PASSWORD})
        assert answer.status_code == 403
    assert stranger.get("/").status_code == 303


def make_gate_token() -> str:
    """A token that is ours, but was made for another browser."""
    return Gate([b"k" * 32], None, now=NOW.timestamp, entropy=lambda n: b"e" * n).form_token("another")


def test_a_signed_link_opens_once(audience: Tracker, drawer: Drawer) -> None:
    """A link leads to a form, so that fetching it ahead spends nothing; sending the form opens, once."""
    gate = gate_of([NOW.timestamp()])
    client = TestClient(dashboard(audience, gate=gate, drawer=drawer, now=NOW.timestamp), follow_redirects=False)
    link = gate.link()
    page = client.get(f"/enter/{link}")
    assert (page.status_code, client.get("/").status_code) == (200, 303)
    form = {"token": token_in(page.text), "link": link}
    assert client.post("/login", data=form).status_code == 303
    assert client.get("/").status_code == 200
    another = TestClient(client.app, follow_redirects=False)
    assert another.get("/login").status_code == 200
    token = gate.form_token(another.cookies[NONCE_COOKIE])
    answer = another.post("/login", data={"token": token, "link": link})
    assert (answer.status_code, "was used before" in answer.text) == (403, True)
    assert another.get(f"/enter/{link}").status_code == 403
    assert another.get("/").status_code == 303


def test_an_expired_link_does_not_open(audience: Tracker, drawer: Drawer) -> None:
    """Fifteen minutes after it was made a link is worth nothing; nor is a forged one."""
    moment = [NOW.timestamp()]
    gate = gate_of(moment)
    client = TestClient(dashboard(audience, gate=gate, drawer=drawer, now=NOW.timestamp), follow_redirects=False)
    link = gate.link()
    moment[0] += timedelta(minutes=15, seconds=1).total_seconds()
    assert client.get(f"/enter/{link}").status_code == 403
    assert client.get("/enter/forged").status_code == 403
    assert not gate.opens_by_link(link)
    assert not gate.spend_link(link)


def test_spent_links_are_forgotten() -> None:
    """What would not open any more by its age need not be remembered."""
    moment = [0.0]
    spent = Spent(lambda: moment[0])
    assert spent.spend("one")
    moment[0] = 15 * 60.0
    assert not spent.spend("one")
    moment[0] += 1
    assert spent.spend("another")
    assert list(spent._times) == ["another"]


def test_a_session_ends_by_itself() -> None:
    """A cookie is good for twelve hours, and only as it was made."""
    moment = [0.0]
    gate = gate_of(moment)
    cookie = gate.cookie(gate.session())
    assert gate.read_cookie(cookie) == gate.session()
    assert gate.read_cookie(f"{cookie[:-1]}A") is None
    moment[0] = 12 * 3600.0 + 1
    assert gate.read_cookie(cookie) is None


def test_who_stays_too_long_signs_in_again(audience: Tracker, drawer: Drawer) -> None:
    """Twelve hours after signing in, pages and forms lead to signing in; looking at pages is no signing in."""
    moment = [NOW.timestamp()]
    with make_client(audience, drawer, now=lambda: moment[0]) as client:
        sign_in(client)
        token = token_in(client.get("/").text)
        moment[0] += 12 * 3600
        assert client.get("/").status_code == 200
        moment[0] += 1
        for answer in (client.get("/"), client.post("/visitors", data={"token": token, "alias": "314522927347"})):
            assert (answer.status_code, answer.headers["location"]) == (303, "/login")


def test_every_form_must_be_ours(reader: TestClient) -> None:
    """No POST does anything without a token of this session's, of the last two hours: whatever else it says."""
    app = cast("Starlette", reader.app)
    posts = [each.path for each in app.routes if isinstance(each, Route) and "POST" in (each.methods or ())]
    assert len(posts) == 5
    form = {"password": PASSWORD, "alias": "314522927347", "language": "fr", "whole": "yes"}
    for path in posts:
        for token in ("", "forged", make_gate_token()):
            answer = reader.post(path, data={**form, "token": token})
            assert (answer.status_code, "location" in answer.headers) == (403, False), path
    page = reader.get("/visitors", headers={"Accept-Language": "en"}).text
    assert ('lang="en"' in page, "314522927347" in page) == (True, False)


def test_a_form_expires() -> None:
    """Two hours after a page was made its forms are worth nothing."""
    moment = [0.0]
    gate = gate_of(moment)
    token = gate.form_token("owner")
    moment[0] = 2 * 3600.0
    assert gate.made_form(token, "owner")
    moment[0] += 1
    assert not gate.made_form(token, "owner")


def test_too_long_a_form(reader: TestClient) -> None:
    """Nobody fills the memory: a form is 8 kB at most."""
    assert reader.post("/visitors", data={"alias": "3" * 9_000}).status_code == 400


def test_one_kind_of_token_is_no_other() -> None:
    """What signs a link signs no session and no form."""
    gate = gate_of([0.0])
    link = gate.link()
    assert gate.read_cookie(link) is None
    assert not gate.made_form(link, (b"e" * 16).hex())


def test_signing_out(reader: TestClient) -> None:
    """Signing out takes a form of ours, and leaves no session."""
    assert reader.post("/logout", data={"token": "forged"}).status_code == 403
    token = token_in(reader.get("/").text)
    assert reader.post("/logout", data={"token": token}).status_code == 303
    assert reader.get("/").status_code == 303


def test_every_answer_has_the_safe_headers(reader: TestClient) -> None:
    """Pages, downloads, styles, errors: all forbid scripts, frames, caches and referrers."""
    for path in ("/", "/login", "/table/pages.csv", "/static/style.css", "/nowhere", "/?first=never"):
        answer = reader.get(path)
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS, path


def test_it_is_never_open(audience: Tracker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a password or a key there is no dashboard; a password may come from the environment."""
    monkeypatch.delenv(PASSWORD_VARIABLE, raising=False)
    with pytest.raises(SettingsError, match="password"):
        dashboard(audience)
    with pytest.raises(SettingsError, match="password"):
        dashboard(audience, password="short")
    keyless = make_tracker(secret_keys=[])
    with pytest.raises(SettingsError, match="secret_keys"):
        dashboard(keyless, password=PASSWORD)
    keyless.close()
    monkeypatch.setenv(PASSWORD_VARIABLE, PASSWORD)
    dashboard(audience)
