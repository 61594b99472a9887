"""Finding a site's tracker by the reference that its server gets."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run

MADE = (
    "service='ringtones', storage={storage!r}, trusted_gateways=['10.12.0.1'], gateway_secret=('x-key', 'k' * 40)"
)
SITES = [
    pytest.param(
        "from alias_middleware.wsgi import AliasMiddleware\napp = AliasMiddleware(lambda e, s: [], {made})",
        "app",
        id="WSGI middleware",
    ),
    pytest.param(
        "from alias_middleware.asgi import AliasMiddleware\n"
        "class Outer:\n    def __init__(self, app):\n        self.app = app\n"
        "app = Outer(Outer(AliasMiddleware(None, {made})))",
        "app",
        id="ASGI middleware within others",
    ),
    pytest.param(
        "from flask import Flask\nfrom alias_middleware.flask import Alias\n"
        "app = Flask(__name__)\nAlias(app, {made})",
        "app",
        id="Flask",
    ),
    pytest.param(
        "from starlette.applications import Starlette\nfrom alias_middleware.asgi import AliasMiddleware\n"
        "app = Starlette()\napp.add_middleware(AliasMiddleware, {made})",
        "app",
        id="Starlette",
    ),
    pytest.param(
        "from alias_middleware import Tracker\nclass site:\n    tracker = Tracker({made})",
        "site.tracker",
        id="a tracker in a namespace",
    ),
]


@pytest.mark.parametrize(("source", "name"), SITES)
def test_settings_are_those_of_the_app(
    database: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, name: str
) -> None:
    """Whatever the app is wrapped in, its own storage, trust and keys are examined; no service need be named."""
    (tmp_path / "a_site_of_the_test.py").write_text(source.format(made=MADE.format(storage=database)))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "a_site_of_the_test", raising=False)
    path = list(sys.path)
    result = run("doctor", "--json", "--wait=0.1", f"--app=a_site_of_the_test:{name}")
    sys.modules.pop("a_site_of_the_test", None)
    told = {finding["check"]: finding["measured"] for finding in json.loads(result.stdout)["findings"]}
    assert told["trust"] == "10.12.0.1, with a secret"
    assert "gateway_secret" in json.dumps(told["keys"]) or "gateway_secret" in result.stdout
    assert sys.path == path


def test_a_site_with_a_source_and_keys_of_its_own(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whom another operator's header names is drained, found and verified by the app's own settings."""
    alias = "0123456789abcdef"
    made = (
        f"Tracker(service='ringtones', storage='sqlite:///{tmp_path}/alias.db', trusted_gateways=[], "
        "source=HeaderAlias('x-acr', '[0-9a-f]{16}'), secret_keys=['k' * 40], writer='external')"
    )
    imported = "from alias_middleware import HeaderAlias, Tracker\n"
    (tmp_path / "another_site_of_the_test.py").write_text(f"{imported}tracker = {made}")
    monkeypatch.chdir(tmp_path)
    app = "--app=another_site_of_the_test:tracker"
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "another_site_of_the_test", raising=False)
    site = importlib.import_module("another_site_of_the_test")
    site.tracker.visitor(alias).track("download")
    assert json.loads(run("drain", "--once", "--json", app).stdout)["stored"] == 1
    assert json.loads(run("visitor", alias, "--json", app).stdout)["knowledge"]["visits"] == 1
    assert run("verify", app).exit_code == 0
    site.tracker.close()
