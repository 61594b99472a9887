"""The bare install, without any extra: WSGI and ASGI work, and what needs an extra says which."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SITE = """
import asyncio, datetime, sys
from alias_middleware import asgi, wsgi, Tracker
from alias_middleware.errors import MissingExtra

tracker = Tracker(service="bare", storage="sqlite:///bare.db", trusted_gateways=["127.0.0.1"], raise_errors=True)

def site(environ, start_response):
    environ["alias_middleware.visitor"].profile["font"] = "large"
    start_response("200 OK", [("Content-Type", "text/html")])
    return [b"page"]

def start_response(status, headers, exc_info=None):
    return lambda chunk: None

environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "REMOTE_ADDR": "127.0.0.1"}
environ["HTTP_WAP_NETWORK_INFO"] = "mUserAlias:314522927347"
assert wsgi.AliasMiddleware(site, tracker=tracker)(environ, start_response) == [b"page"]

async def async_site(scope, receive, send):
    assert scope["state"]["visitor"].profile["font"] == "large"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
    await send({"type": "http.response.body", "body": b"page"})

async def send(message):
    pass

scope = {"type": "http", "method": "GET", "path": "/", "client": ("127.0.0.1", 1)}
scope["headers"] = [(b"wap-network-info", b"mUserAlias:314522927347")]
asyncio.run(asgi.AliasMiddleware(async_site, tracker=tracker)(scope, None, send))
assert tracker.flush()
assert tracker.visitor("314522927347").profile.page_views == 2
tracker.close()
try:
    Tracker(service="bare", trusted_gateways=[], continuity=True, secret_keys=["0123456789abcdef"])
except MissingExtra as missing:
    print("extra:", missing.extra)
foreign = {"flask", "starlette", "click", "rich", "cryptography", "werkzeug", "anyio"} & set(sys.modules)
assert not foreign, foreign
"""


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh virtual environment with the package and what it cannot do without."""
    home = tmp_path_factory.mktemp("bare") / "venv"
    subprocess.run([sys.executable, "-m", "venv", home], check=True)
    install = [str(home / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", str(ROOT)]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = f"the bare environment could not be made: {done.stderr.strip()[-300:]}"
        if os.environ.get("ALIAS_REQUIRE_REAL") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return home


def test_the_bare_install_serves_both_edges(bare: Path, tmp_path: Path) -> None:
    """Without extras a site is served under WSGI and ASGI, and the cookie says what it needs."""
    script = tmp_path / "site_check.py"
    script.write_text(SITE, encoding="utf-8")
    done = subprocess.run(
        [bare / "bin" / "python", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.returncode) == ("extra: crypto\n", 0), done.stderr


def test_the_command_without_its_extra_says_how_to_get_it(bare: Path) -> None:
    """`alias-middleware` without the extra `cli` ends with one clear line and exit code 2."""
    done = subprocess.run([bare / "bin" / "alias-middleware"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert 'pip install "alias-middleware[cli]"' in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_wheel_is_whole(bare: Path) -> None:
    """What was built has every file of the package, not only modules: templates, styles, types; nothing else."""
    (record,) = bare.glob("lib/python*/site-packages/alias_middleware-*.dist-info/RECORD")
    listed = [line.split(",")[0] for line in record.read_text(encoding="utf-8").splitlines()]
    names = {name for name in listed if name.startswith("alias_middleware/") and "__pycache__" not in name}
    source = ROOT / "alias_middleware"
    files = {str(path.relative_to(ROOT)) for path in source.rglob("*") if path.is_file()}
    assert names == {name for name in files if "__pycache__" not in name}
    assert {
        "alias_middleware/py.typed",
        "alias_middleware/dashboard/static/style.css",
        "alias_middleware/dashboard/static/icon.svg",
        "alias_middleware/dashboard/templates/overview.html",
        "alias_middleware/dashboard/vega_process.py",
    } <= names
