"""The example site under Flask. Run it behind a simulated gateway as README.md says."""

import secrets
from typing import Any

from flask import Blueprint, Flask, Response, abort, make_response, redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from alias_middleware import Item
from alias_middleware.flask import Alias, current_visitor
from examples.site import JINJA, NEWS, RINGTONES, STATIC, TEMPLATES, keep_choices, markup, page, settings

alias = Alias()
pages = Blueprint("pages", __name__)


def create_app(**overrides: Any) -> Flask:
    app = Flask(__name__, template_folder=TEMPLATES, static_folder=STATIC)
    app.jinja_options = JINJA
    for name, value in (settings() | overrides).items():
        app.config[f"ALIAS_{name.upper()}"] = value
    app.register_blueprint(pages)
    alias.init_app(app)  # the one line
    return app


def render(template: str, **content: Any) -> Response:
    suffix, media_type = markup(request.headers.get("Accept", ""))
    answer = make_response(render_template(f"{template}.{suffix}", **page(current_visitor, **content)))
    answer.content_type = f"{media_type}; charset=utf-8"
    answer.vary.add("Accept")
    return answer


@pages.get("/")
@alias.page(title="home")
def home() -> Response:
    return render("home")


@pages.get("/news/<category>")
def news(category: str) -> Response:
    if category not in NEWS:
        abort(404)
    current_visitor.page(category=category, title="news")
    current_visitor.profile.increment(f"read {category}")
    return render("news", category=category)


@pages.get("/shop")
@alias.page(title="shop")
def shop() -> Response:
    return render("shop")


@pages.post("/shop")
@alias.required
def buy() -> AnyResponse:
    tone = RINGTONES.get(request.form.get("sku", ""))
    if tone is None:
        abort(400)
    order_id = f"CMD-{secrets.token_hex(8)}"
    current_visitor.purchase(order_id, [Item(tone.sku, tone.name, tone.category, tone.price)], currency="EUR")
    current_visitor.profile.append("ringtones", tone.sku, limit=3)
    return redirect("/shop", 303)


@pages.get("/settings")
@alias.page(title="settings")
def choices() -> Response:
    return render("settings")


@pages.post("/settings")
def choose() -> AnyResponse:
    keep_choices(current_visitor, request.form.to_dict(flat=False))
    return redirect("/", 303)
