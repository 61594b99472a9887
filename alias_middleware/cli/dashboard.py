"""The command `dashboard`: serves the audience to who has the password or the printed link."""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import click

from alias_middleware.cli.output import silence_log
from alias_middleware.cli.signals import StopSignals
from alias_middleware.cli.source import Source, require_data
from alias_middleware.errors import AliasError, MissingExtra
from alias_middleware.tracker import Tracker

if TYPE_CHECKING:
    from starlette.applications import Starlette

_PATIENCE = 10.0
_DRAIN_PATIENCE = 2.0
_KEY_BYTES = 32


@click.command("dashboard")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8099, show_default=True, help="0: any that is free."
)
@click.option("--root-path", default="", help="The path under which a proxy shows it, as /stats.")
@click.pass_obj
def dashboard(source: Source, host: str, port: int, root_path: str) -> None:
    """Serve the audience to your browser, until Ctrl-C.

    It opens by the password in ALIAS_DASHBOARD_PASSWORD; without one, by a link that is printed here: it is
    good once, for 15 minutes. It speaks plain HTTP: beyond this machine put a proxy with HTTPS before it.
    """
    silence_log()
    with source.opened() as tracker:
        require_data(tracker)
        tracker.flush(_DRAIN_PATIENCE)
        app, link = _app(tracker)
        _serve(app, link, host=host, port=port, root_path=root_path.rstrip("/"))


def _app(tracker: Tracker) -> tuple[Starlette, str]:
    """Make the dashboard, and the path that opens it."""
    try:
        from alias_middleware.dashboard import PASSWORD_VARIABLE
        from alias_middleware.dashboard import dashboard as make
        from alias_middleware.dashboard.security import Gate
    except ModuleNotFoundError as error:
        raise MissingExtra(extra="dashboard", setting="dashboard") from error
    password = os.environ.get(PASSWORD_VARIABLE) or None
    keys = [*tracker.settings.secret_keys] or [secrets.token_bytes(_KEY_BYTES)]
    gate = Gate(keys, password, now=time.time, entropy=os.urandom)
    return make(tracker, gate=gate), "/" if password else f"/enter/{gate.link()}"


def _serve(app: Any, link: str, *, host: str, port: int, root_path: str) -> None:
    """Serve in a thread, so that signals end it as they end our other commands."""
    import uvicorn

    with _listening(host, port) as listener:
        config = uvicorn.Config(app, root_path=root_path, log_level="warning", lifespan="on")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],), name="dashboard", daemon=True)
        with StopSignals() as signals:
            thread.start()
            click.echo(f"Open {address(host, listener.getsockname()[1], root_path + link)}")
            click.echo("Ctrl-C ends it.", err=True)
            signals.wait()
        server.should_exit = True
        thread.join(_PATIENCE)


def _listening(host: str, port: int) -> socket.socket:
    """Listen; who comes before the server has started waits for it.

    Raises:
        AliasError: another program does, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        why = (error.strerror or "").partition(" (")[0]  # it names the address once more
        raise AliasError(f"cannot listen on {host}:{port}: {why}") from error


def address(host: str, port: int, path: str) -> str:
    """Give the address to open in a browser."""
    return f"http://{f'[{host}]' if ':' in host else host}:{port}{path}"
