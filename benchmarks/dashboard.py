"""What looking costs: the dashboard's first page with its pictures, as a browser gets it, and the report."""

from __future__ import annotations

import http.client
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import uvicorn

from alias_middleware.dashboard import dashboard
from alias_middleware.dashboard.charts import samples
from alias_middleware.dashboard.drawing import Drawer
from benchmarks.base import Base
from benchmarks.figures import Figure
from benchmarks.life import ZONE, Size
from benchmarks.rounds import spread
from benchmarks.site import SERVICE

_PASSWORD = "correct horse battery"
_KEY = "k" * 32
_PICTURES = 9
_AGAIN = 5
_DAYS = timedelta(days=30)


def dashboard_figures(folder: Path, size: Size, *, rounds: int = 5) -> Iterator[Figure]:
    """Measure on the base in `folder`, which is made where it is not there."""
    base = Base(folder, size)
    base.build()
    cold, warm = [], []
    for _ in range(rounds):
        first, *again = _first_page(base)
        cold.append(first)
        warm += again
    yield Figure("first page with its pictures, nothing of the database in memory", "s", spread(cold), 1.0)
    yield Figure("the same, asked again", "s", spread(warm), 0.2)
    report = [_report(base, folder) for _ in range(rounds)]
    yield Figure("report of 30 days, by a process of its own, nothing in memory", "s", spread(report), 5.0)


def _first_page(base: Base) -> list[float]:
    """Give the seconds of the page, first and again: of a new tracker, whose site and engine are running."""
    noon = datetime.combine(base.life.until - timedelta(days=1), datetime.min.time(), ZoneInfo(ZONE))
    with closing(base.tracker()) as tracker, closing(Drawer()) as drawer:
        for sample in samples():
            drawer.draw(sample).result()
        app = dashboard(tracker, password=_PASSWORD, secret_keys=[_KEY], drawer=drawer, now=noon.timestamp)
        with _served(app) as port, closing(_Reader(port)) as reader:
            reader.sign_in()
            drop_from_memory(base.folder)
            return [reader.look() for _ in range(1 + _AGAIN)]


class _Reader:
    """A browser as far as it matters: one connection, and the cookies it was given."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port)
        self._cookies: dict[str, str] = {}

    def close(self) -> None:
        self._connection.close()

    def sign_in(self) -> None:
        token = re.search(r'name="token" value="([^"]+)"', self._ask("GET", "/login")[1])
        if token is None or self._ask("POST", "/login", {"token": token[1], "password": _PASSWORD})[0] != 303:
            raise RuntimeError("nobody is let in")

    def look(self) -> float:
        """Give the seconds until the page is there, pictures included: they are part of it."""
        begun = time.perf_counter()
        status, page = self._ask("GET", "/")
        seconds = time.perf_counter() - begun
        if status != 200 or page.count("<svg ") != _PICTURES:
            raise RuntimeError(f"the page is not whole: {status}, {page.count('<svg ')} pictures")
        return seconds

    def _ask(self, method: str, path: str, form: dict[str, str] | None = None) -> tuple[int, str]:
        cookies = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        headers = {"Cookie": cookies, "Content-Type": "application/x-www-form-urlencoded"}
        self._connection.request(method, path, urlencode(form or {}), headers)
        answer = self._connection.getresponse()
        for cookie in answer.headers.get_all("Set-Cookie", []):
            name, _, value = cookie.partition(";")[0].partition("=")
            self._cookies[name] = value
        return answer.status, answer.read().decode()


@contextmanager
def _served(app: object) -> Iterator[int]:
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", lifespan="off"))  # type: ignore[arg-type]
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            if not thread.is_alive():
                raise RuntimeError("the dashboard does not start")
            time.sleep(0.01)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


def _report(base: Base, folder: Path) -> float:
    url, out = f"sqlite:///{base.folder / 'alias.db'}", folder / "report.html"
    days = ["--since", str(base.life.until - _DAYS), "--until", str(base.life.until)]
    options = ["--storage", url, "--service", SERVICE, *days, "-o", str(out)]
    command = [sys.executable, "-m", "alias_middleware", "report", *options]
    drop_from_memory(base.folder)
    begun = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - begun
    page = out.read_text()
    out.unlink()
    if page.count("<svg ") != _PICTURES:
        raise RuntimeError("the report is not whole")
    return seconds


def drop_from_memory(folder: Path) -> None:
    """Have the kernel forget the database's files, after they are on the disk."""
    for path in folder.glob("alias.db*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file)
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
