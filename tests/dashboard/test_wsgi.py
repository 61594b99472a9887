from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from alias_middleware.errors import SettingsError
from alias_middleware.flask import Alias
from tests.dashboard.audience import ALIAS, PASSWORD, token_in


def make_site(tmp_path: Path, **config: Any) -> Flask:
    site = Flask("site")
    site.config.update(
        ALIAS_SERVICE="news",
        ALIAS_STORAGE=f"sqlite:///{tmp_path}/alias.db",
        ALIAS_TRUSTED_GATEWAYS=["127.0.0.1"],
        ALIAS_SECRET_KEYS=["k" * 32],
        ALIAS_DASHBOARD_PREFIX="/stats",
        ALIAS_DASHBOARD_PASSWORD=PASSWORD,
    )
    site.config.update(config)
    site.add_url_rule("/", view_func=lambda: "the site")
    site.add_url_rule("/statsfoo", "foo", view_func=lambda: "not the dashboard")
    Alias(site)
    return site


def test_flask_mounts_it(tmp_path: Path) -> None:
    """Below its path is the dashboard, with its links and cookies; everywhere else the site."""
    site = make_site(tmp_path)
    client = site.test_client()
    assert (client.get("/").text, client.get("/statsfoo").text) == ("the site", "not the dashboard")
    assert client.get("/stats").headers["location"] == "/stats/login"
    page = client.get("/stats/login")
    assert 'href="/stats/static/style.css"' in page.text
    assert client.get("/stats/static/style.css").status_code == 200
    answer = client.post("/stats/login", data={"token": token_in(page.text), "password": PASSWORD})
    assert (answer.status_code, answer.headers["location"]) == (303, "/stats/")
    assert "Path=/stats/" in answer.headers.get_all("set-cookie")[0]
    overview = client.get("/stats/", headers={"wap-network-info": f"mUserAlias:{ALIAS}"})
    assert overview.status_code == 200
    assert 'href="/stats/health?' in overview.text
    tracker = site.extensions["alias_middleware"]
    assert tracker.counters()["seen"] == 0, "looking at the figures is no page view"
    tracker.close()


def test_wrong_passwords_count_by_address(tmp_path: Path) -> None:
    """The bridge passes the peer's address on."""
    site = make_site(tmp_path)
    client = site.test_client()

    def enter(password: str, address: str) -> int:
        token = token_in(client.get("/stats/login").text)
        form = {"token": token, "password": password}
        return client.post("/stats/login", data=form, environ_base={"REMOTE_ADDR": address}).status_code

    assert [enter("wrong horse", "10.0.0.1") for _ in range(6)] == [403] * 4 + [429] * 2
    assert enter(PASSWORD, "10.0.0.2") == 303
    site.extensions["alias_middleware"].close()


@pytest.mark.parametrize(
    "config",
    [
        pytest.param({"ALIAS_DASHBOARD_PREFIX": "stats"}, id="no path"),
        pytest.param({"ALIAS_DASHBOARD_PASSWORD": ""}, id="no password"),
        pytest.param({"ALIAS_SECRET_KEYS": []}, id="no keys"),
        pytest.param({"ALIAS_DASHBORD_PREFIX": "/x"}, id="misspelt"),
    ],
)
def test_a_wrong_setting_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: dict[str, Any]
) -> None:
    """A site whose dashboard would be open, or nowhere, does not start."""
    monkeypatch.delenv("ALIAS_DASHBOARD_PASSWORD", raising=False)
    with pytest.raises(SettingsError):
        make_site(tmp_path, **config)
