"""The example site in a process of its own, behind a simulated gateway: `python -m examples.demo`.

Plays a few hundred subscribers and shows what was recorded of them; with `--serve` it waits for your browser
instead. Exits with 0 only if every page that was answered was recorded, and nothing else.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import date, timedelta
from pathlib import Path

from alias_middleware import Tracker
from alias_middleware.cli.tables import write_tables
from alias_middleware.cli.views import counters_table, summary_table
from alias_middleware.statistics import Summary
from alias_middleware.testing.gateway import SimulatedGateway, constant_subscriber, header_subscriber
from examples.traffic import VICTIM, Counts, phones, play

SERVICE = "vitrine"
CHECKOUT = Path(__file__).parent.parent
SUBSCRIBERS = {"314522927347": 8080, "271828182845": 8081}
SERVERS = {
    "flask": ["waitress", "--listen={host}:{port}", "--threads=16", "--call", "examples.flask_app.app:create_app"],
    "starlette": [
        *("uvicorn", "--factory", "examples.starlette_app.app:create_app"),
        *("--host={host}", "--port={port}", "--no-proxy-headers", "--log-level=warning"),
    ],
}


def main() -> int:
    arguments = parse()
    with tempfile.TemporaryDirectory(prefix="alias-demo-") as folder:
        storage = f"sqlite:///{folder}/alias.db"
        with running_site(arguments.app, storage) as site:
            if arguments.serve:
                return serve(site, storage, arguments.port)
            return demonstrate(site, storage, arguments)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m examples.demo", description=__doc__)
    parser.add_argument("--app", choices=list(SERVERS), default="flask", help="which example (default: flask)")
    parser.add_argument("--subscribers", type=int, default=300, help="how many phones (default: 300)")
    parser.add_argument("--seed", type=int, default=1, help="of their habits (default: 1)")
    parser.add_argument("--seconds", type=float, default=25.0, help="of traffic at most (default: 25)")
    parser.add_argument("--serve", action="store_true", help="no traffic: keep the site running for a browser")
    parser.add_argument("--port", type=int, default=8080, help="first port of --serve (default: 8080; 0: any)")
    return parser.parse_args()


def demonstrate(site: str, storage: str, arguments: argparse.Namespace) -> int:
    everybody = list(phones(arguments.subscribers, arguments.seed))
    print(
        f"{len(everybody)} phones browse the {arguments.app} example through a simulated gateway ...", flush=True
    )
    begun = time.monotonic()
    with SimulatedGateway(site, header_subscriber()) as gateway:
        counts = play(everybody, gateway.url, site, seconds=arguments.seconds)
    print(f"... for {time.monotonic() - begun:.1f} s.\n")
    tracker = Tracker(service=SERVICE, storage=storage, trusted_gateways=[], raise_errors=True)
    try:
        summary = settled(tracker, counts)
        write_tables([summary_table(summary), counters_table(tracker.counters())], sys.stdout)
        forged = tracker.visitor(VICTIM).profile.page_views
        return verdict(summary, counts, forged)
    finally:
        tracker.close()


def settled(tracker: Tracker, counts: Counts, patience: float = 10.0) -> Summary:
    """Give the figures as soon as they hold what was answered, or as they are when patience ends."""
    days = date.today() - timedelta(days=1), date.today() + timedelta(days=2)  # noqa: DTZ011 - wide enough
    end = time.monotonic() + patience
    pause = threading.Event()
    while True:
        tracker.flush(1.0)
        summary = tracker.statistics.summary(*days)
        if not differences(summary, counts) or time.monotonic() > end:
            return summary
        pause.wait(0.1)


def differences(summary: Summary, counts: Counts) -> list[str]:
    """Compare what was recorded with what phones were answered."""
    pairs = {
        "page views": (summary.page_views, counts["pages to recognised"]),
        "unidentified page views": (summary.unidentified_page_views, counts["pages to unrecognised"]),
        "orders": (summary.orders, counts["purchases"]),
    }
    return [f"{name}: {seen} recorded, {said} answered" for name, (seen, said) in pairs.items() if seen != said]


def verdict(summary: Summary, counts: Counts, forged: int) -> int:
    wrong = differences(summary, counts)
    if counts["failures"]:
        wrong.append(f"requests that failed: {counts['failures']}")
    if forged:
        wrong.append("a forged header got through")
    print(f"\nForged requests: {counts['forged requests']}, of which got through: {forged}")
    print(f"Pages answered to recognised phones: {counts['pages to recognised']}, recorded: {summary.page_views}")
    for line in wrong:
        print(f"WRONG: {line}")
    print("Something is wrong." if wrong else "Every page that was answered was recorded, once.")
    return 1 if wrong else 0


def serve(site: str, storage: str, port: int) -> int:
    ports = [port + place if port else 0 for place in range(len(SUBSCRIBERS))]
    gateways = [
        SimulatedGateway(site, constant_subscriber(alias), port=each)
        for alias, each in zip(SUBSCRIBERS, ports, strict=True)
    ]
    try:
        for alias, gateway in zip(SUBSCRIBERS, gateways, strict=True):
            gateway.start()
            print(f"Open {gateway.url} as subscriber {alias}")
        print(f"Open {site} as somebody off the mobile network")
        print(f"Figures: {sys.executable} -m alias_middleware stats --service {SERVICE} --storage {storage}")
        print("Ctrl-C ends it.", flush=True)
        with suppress(KeyboardInterrupt):
            threading.Event().wait()
    finally:
        for gateway in gateways:
            gateway.stop()
    return 0


@contextmanager
def running_site(app: str, storage: str) -> Iterator[str]:
    """Run an example app under a real server in a process of its own, and give its URL."""
    host, port = "127.0.0.1", free_port()
    command = [argument.format(host=host, port=port) for argument in SERVERS[app]]
    environment = os.environ | {"ALIAS_STORAGE": storage, "ALIAS_SERVICE": SERVICE}
    server = subprocess.Popen([sys.executable, "-m", *command], env=environment, cwd=CHECKOUT)
    try:
        wait_for(server, host, port)
        yield f"http://{host}:{port}"
    finally:
        server.send_signal(signal.SIGINT)
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def wait_for(server: subprocess.Popen[bytes], host: str, port: int) -> None:
    end = time.monotonic() + 30
    pause = threading.Event()
    while True:
        with suppress(OSError):
            socket.create_connection((host, port), timeout=1).close()
            return
        if server.poll() is not None or time.monotonic() > end:
            raise SystemExit("the site's server did not start")
        pause.wait(0.05)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that everything is put away
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
