"""What is still there of answered pages once the site was killed: measured with a site in a process of its own.

`python -m benchmarks.compare.killed serve|count WAY FOLDER REDIS_PORT EVENTS_PORT` is that process: it answers
page after page and says so, or starts again and counts what the site still knows.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from itertools import cycle
from pathlib import Path

from benchmarks.compare.servers import RedisServer, events_at
from benchmarks.compare.site import VISITORS, Surroundings
from benchmarks.compare.ways import WAYS, Way

_ROOT = Path(__file__).parents[2]


def kept(way: Way, around: Surroundings, answers: int, *, redis: RedisServer | None = None) -> float:
    """Kill a site after so many answers, its Redis as well where one is given; give the per cent that is kept."""
    arrived = events_at(around.events_port) if way.remote else 0
    pages, cookies = _serve(way, around, answers)
    if redis is not None:
        redis.stop(signal.SIGKILL)
        redis.start()
    there = events_at(around.events_port) - arrived if way.remote else _count(way, around, pages, cookies)
    return 100 * min(there, pages.total()) / pages.total()


def _serve(way: Way, around: Surroundings, answers: int) -> tuple[Counter[int], dict[int, str]]:
    """Have pages answered until it is killed; give each visitor's, and the cookie his phone holds then."""
    pages, cookies = Counter[int](), dict[int, str]()
    with subprocess.Popen(_command("serve", way, around), cwd=_ROOT, stdout=subprocess.PIPE) as site:
        for number, line in enumerate(site.stdout or ()):
            if number == answers:
                site.send_signal(signal.SIGKILL)
            visitor, cookie = line.decode().rstrip("\n").split(" ", 1)
            pages[int(visitor)] += 1
            cookies[int(visitor)] = cookie
    return pages, cookies


def _count(way: Way, around: Surroundings, pages: Counter[int], cookies: dict[int, str]) -> int:
    """Start the site again, and ask for every visitor what is known of his pages."""
    asked = "".join(f"{visitor} {number} {cookies[visitor]}\n" for visitor, number in pages.items())
    command = _command("count", way, around)
    ran = subprocess.run(command, cwd=_ROOT, input=asked.encode(), stdout=subprocess.PIPE, check=True)
    return int(ran.stdout)


def _command(what: str, way: Way, around: Surroundings) -> list[str]:
    ports = str(around.redis_port or 0), str(around.events_port)
    return [
        sys.executable, "-m", "benchmarks.compare.killed", what, str(WAYS.index(way)), str(around.folder), *ports
    ]  # fmt: skip


def _answer_for_ever(way: Way, around: Surroundings) -> None:
    site = way.build(around)
    site.pages(cycle(range(VISITORS)), lambda visitor, cookie: os.write(1, f"{visitor} {cookie}\n".encode()))


def _tell_what_is_known(way: Way, around: Surroundings) -> None:
    site = way.build(around)
    site.settle()
    known = 0
    for line in sys.stdin:
        visitor, pages, cookie = line.rstrip("\n").split(" ", 2)
        site.cookies[int(visitor)] = cookie
        known += min(int(pages), site.seen(int(visitor)))
    print(known)
    site.close()


if __name__ == "__main__":
    _what, _way, _folder, _redis, _events = sys.argv[1:]
    _around = Surroundings(Path(_folder), int(_redis) or None, int(_events))
    {"serve": _answer_for_ever, "count": _tell_what_is_known}[_what](WAYS[int(_way)], _around)
