"""The Flask extension, as an app uses it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import flask_login
import pytest
from flask import Flask, render_template_string, request
from flask.testing import FlaskClient
from werkzeug.middleware.proxy_fix import ProxyFix

from alias_middleware import Tracker
from alias_middleware.errors import SettingsError
from alias_middleware.flask import EXTENSION, Alias, current_visitor
from tests.support.site import ALIAS, SECRET_KEYS

NAMED = {"wap-network-info": f"mUserAlias:{ALIAS}"}
CONFIG = {"ALIAS_SERVICE": "sonneries", "ALIAS_STORAGE": "memory://", "ALIAS_TRUSTED_GATEWAYS": ["127.0.0.1"]}


class AsyncFlask(Flask):
    """A Flask that runs async views by asyncio alone, as its documentation allows."""

    def async_to_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args, **kwargs: asyncio.run(func(*args, **kwargs))


@pytest.fixture
def app() -> Iterator[Flask]:
    """An app made by a factory: configured, then given the extension, then its views."""
    app = AsyncFlask(__name__)
    app.config.update(CONFIG, TESTING=True)
    alias = Alias()
    alias.init_app(app)

    @app.get("/")
    @alias.page(category="news", title="Home")
    def home() -> str:
        return str(current_visitor.alias)

    @app.get("/template")
    def template() -> str:
        return render_template_string(
            "{% if current_visitor %}{{ current_visitor.alias }}{% else %}who?{% endif %}"
        )

    @app.get("/mine")
    @alias.required
    def mine() -> str:
        return "yours"

    @app.get("/async")
    @alias.page(category="news")
    @alias.required
    async def later() -> str:
        return "yours, later"

    @app.get("/plain")
    def plain() -> str:
        return "plain"

    app.extensions["test_alias"] = alias
    yield app
    app.extensions[EXTENSION].close()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A browser behind the gateway, which the test client's address is."""
    return app.test_client()


@pytest.mark.parametrize("path", ["/", "/template"])
def test_the_proxy(client: FlaskClient, path: str) -> None:
    """`current_visitor` is the request's visitor, in views and templates; the answer says what it depends on."""
    answer = client.get(path, headers=NAMED)
    assert answer.text == ALIAS
    assert "wap-network-info" in answer.headers["Vary"]
    assert client.get(path).text in ("None", "who?")


@pytest.mark.parametrize(("path", "text"), [("/mine", "yours"), ("/async", "yours, later")])
def test_required(client: FlaskClient, path: str, text: str) -> None:
    """Recognised visitors get the view, plain or async; others 403, and either answer is private."""
    answer = client.get(path, headers=NAMED)
    assert (answer.status_code, answer.text) == (200, text)
    refused = client.get(path)
    assert (refused.status_code, refused.headers["Cache-Control"]) == (403, "private")


def test_required_with_an_answer_of_its_own(app: Flask, client: FlaskClient) -> None:
    """`unrecognised` answers in place of 403."""

    alias: Alias = app.extensions["test_alias"]

    @alias.unrecognised
    def sorry() -> tuple[str, int]:
        return "on the operator's network only", 401

    answer = client.get("/mine")
    assert (answer.status_code, answer.text) == (401, "on the operator's network only")
    assert client.get("/mine", headers=NAMED).text == "yours"


def test_page(app: Flask, client: FlaskClient) -> None:
    """`page` annotates the page view, and a look at the view is no look at the visitor."""
    client.get("/", headers=NAMED)
    with app.app_context():
        tracker = app.extensions["test_alias"].tracker
    tracker.flush()
    (event,) = tracker.visitor(ALIAS).history()
    assert (event.title, event.category, event.path) == ("Home", "news", "/")


def test_a_view_that_does_not_look(client: FlaskClient) -> None:
    """Its answer is what it is without the extension."""
    bare = Flask(__name__)
    bare.add_url_rule("/plain", view_func=lambda: "plain")
    with_it, without = client.get("/plain", headers=NAMED), bare.test_client().get("/plain")
    assert (list(with_it.headers), with_it.data) == (list(without.headers), without.data)


def test_a_request_context_without_the_middleware(app: Flask) -> None:
    """In `test_request_context` there is a stranger, and the same one throughout."""
    with app.test_request_context("/"):
        assert not current_visitor
        current_visitor.profile["font"] = "large"
        assert current_visitor.profile["font"] == "large"
        assert not current_visitor.track("look")


def test_an_app_without_the_extension() -> None:
    """The error says what to call."""
    with Flask(__name__).test_request_context("/"), pytest.raises(SettingsError, match=r"Alias\(app\)"):
        _ = current_visitor.alias


def test_it_is_added_once(app: Flask) -> None:
    """Twice, the inner one would find the header gone: refused."""
    with pytest.raises(SettingsError, match="already"):
        Alias(app)


def test_one_extension_for_two_apps() -> None:
    """Each app has its own tracker by its own configuration."""
    alias = Alias(storage="memory://", trusted_gateways=[])
    apps = [Flask(name) for name in ("a", "b")]
    for app in apps:
        app.config["ALIAS_SERVICE"] = app.name
        alias.init_app(app)
    services = []
    for app in apps:
        with app.app_context():
            services.append(alias.tracker.settings.service)
    assert services == ["a", "b"]


def test_a_given_tracker() -> None:
    """A tracker that is there already is used as it is."""
    tracker = Tracker(service="sonneries", storage="memory://", trusted_gateways=[])
    app = Flask(__name__)
    alias = Alias(app, tracker=tracker)
    with app.app_context():
        assert alias.tracker is tracker


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        pytest.param("TRUSTED_GATEWAYS", '["10.12.0.0/16", "unix"]', ["10.12.0.0/16", "unix"], id="JSON list"),
        pytest.param("TRUSTED_GATEWAYS", "10.12.0.0/16, unix", ["10.12.0.0/16", "unix"], id="commas"),
        pytest.param("EXCLUDED_PATHS", "/health,/static/*", ("/health", "/static/*"), id="paths"),
        pytest.param("PAGE_TYPES", "text/html,text/vnd.wap.wml", {"text/html", "text/vnd.wap.wml"}, id="types"),
        pytest.param("SERVICE", "sonneries", "sonneries", id="plain text"),
        pytest.param("SERVICE", '"sonneries"', "sonneries", id="JSON text"),
        pytest.param("SERVICE", "36123", "36123", id="a service named by a number"),
        pytest.param("GATEWAY_SECRET", '["X-Gate", "sesame"]', ("X-Gate", "sesame"), id="a pair"),
        pytest.param("VISIT_GAP", "900", 900, id="a number"),
        pytest.param("RAISE_ERRORS", "true", True, id="JSON flag"),
        pytest.param("RAISE_ERRORS", "True", True, id="Python flag"),
        pytest.param("SECRET_KEYS", "12345678901234567890", (b"12345678901234567890",), id="digits for a key"),
        pytest.param("SPOOL", "spool", Path("spool"), id="a folder"),
    ],
)
@pytest.mark.parametrize("place", ["environment", "from_prefixed_env"])
def test_the_environment(monkeypatch: pytest.MonkeyPatch, place: str, name: str, text: str, value: object) -> None:
    """Settings come from FLASK_ALIAS_* as JSON or plain text, with Flask's own reading of it or without."""
    base = {"SERVICE": "other", "STORAGE": "memory://", "TRUSTED_GATEWAYS": "unix"}
    for setting, given in {**base, name: text}.items():
        monkeypatch.setenv(f"FLASK_ALIAS_{setting}", given)
    app = Flask(__name__)
    if place == "from_prefixed_env":
        app.config.from_prefixed_env()
    alias = Alias(app)
    with app.app_context():
        assert getattr(alias.tracker.settings, name.lower()) == value


def test_who_has_the_last_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """Arguments before the configuration, the configuration before the environment."""
    monkeypatch.setenv("FLASK_ALIAS_SERVICE", "environment")
    monkeypatch.setenv("FLASK_ALIAS_ZONE", "Europe/Berlin")
    app = Flask(__name__)
    app.config.update(CONFIG, ALIAS_VISIT_GAP=60, FLASK_ALIAS_REFERENCE="portal")
    alias = Alias(app, visit_gap=90)
    with app.app_context():
        settings = alias.tracker.settings
    assert (settings.visit_gap, settings.service, settings.zone) == (90, "sonneries", "Europe/Berlin")
    assert (settings.reference, settings.raise_errors) == ("portal", False)


@pytest.mark.parametrize("where", ["ALIAS_CONTINUTY", "FLASK_ALIAS_CONTINUTY", "environment"])
def test_a_misspelt_key(monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """A key that is nearly a setting is refused with a suggestion; other extensions' keys are left alone."""
    app = Flask(__name__)
    app.config.update(CONFIG, ALIAS_OF_SOMETHING_ELSE=1)
    Alias(app)
    app = Flask(__name__)
    app.config.update(CONFIG)
    if where == "environment":
        monkeypatch.setenv("FLASK_ALIAS_CONTINUTY", "true")
    else:
        app.config[where] = True
    with pytest.raises(SettingsError, match="did you mean ALIAS_CONTINUITY"):
        Alias(app)


def test_a_missing_setting() -> None:
    """An app without any says what is needed."""
    with pytest.raises(SettingsError, match="name of your Gallery service"):
        Alias(Flask(__name__))


@pytest.mark.parametrize(
    ("remote", "forwarded", "recognised"),
    [
        pytest.param("127.0.0.1", "10.12.0.1", True, id="the gateway behind the site's proxy"),
        pytest.param("127.0.0.1", "203.0.113.9", False, id="a stranger behind it"),
        pytest.param("127.0.0.1", "10.12.0.1, 203.0.113.9", False, id="a stranger who forges the list"),
        pytest.param("127.0.0.1", "garbage", False, id="garbage"),
    ],
)
def test_behind_the_sites_own_proxy(remote: str, forwarded: str, recognised: bool) -> None:
    """ProxyFix goes outside, so that the middleware sees the gateway's address, not the proxy's."""
    app = Flask(__name__)
    app.config.update({**CONFIG, "ALIAS_TRUSTED_GATEWAYS": ["10.12.0.0/16"]})
    Alias(app)
    app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1)  # type: ignore[method-assign]
    app.add_url_rule("/", view_func=lambda: str(bool(current_visitor)))
    environ = {"REMOTE_ADDR": remote}
    answer = app.test_client().get("/", headers={**NAMED, "X-Forwarded-For": forwarded}, environ_base=environ)
    assert answer.text == str(recognised)


def test_flask_login(app: Flask, client: FlaskClient) -> None:
    """Flask-Login's `request_loader` recipe: the visitor is the user, without a login."""
    manager = flask_login.LoginManager(app)
    app.secret_key = SECRET_KEYS[0]

    @manager.request_loader  # type: ignore[untyped-decorator]
    def load(request: Any) -> Any:
        visitor = request.environ["alias_middleware.visitor"]
        return visitor or None

    @app.get("/account")
    @flask_login.login_required  # type: ignore[untyped-decorator]
    def account() -> str:
        return str(flask_login.current_user.alias)

    assert client.get("/account", headers=NAMED).text == ALIAS
    assert client.get("/account").status_code == 401


def test_the_app_does_not_see_the_header(app: Flask, client: FlaskClient) -> None:
    """Views get every header but the operator's."""
    app.add_url_rule("/headers", view_func=lambda: json.dumps(sorted(name.lower() for name, _ in request.headers)))
    assert "wap-network-info" not in client.get("/headers", headers=NAMED).text
