"""Having charts drawn as SVG, beside whatever else a page needs.

The SVG has no styles and no scripts of its own, as the Content-Security-Policy wants it.
"""

from __future__ import annotations

import os
import re
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from hashlib import blake2b

from alias_middleware.dashboard.charts import Chart, samples
from alias_middleware.dashboard.engine import Engine

_KEPT = 512
_DIGEST_BYTES = 16
_ID_LENGTH = 8
_SIZE = re.compile(r' width="[0-9.]+" height="[0-9.]+"(?= viewBox)')
_ID = re.compile(r'(id="|url\(#)(clip|gradient)')


class Drawer:
    """Has charts drawn one after the other, and equal ones once. The engine starts with the first."""

    def __init__(self, *, kept: int = _KEPT) -> None:
        """Remember the last `kept` pictures."""
        self._most = kept
        self._lock = threading.Lock()
        self._pictures: OrderedDict[bytes, Future[str]] = OrderedDict()
        self._thread: ThreadPoolExecutor | None = None
        self._engine = Engine()
        self._end: Callable[[], object] = self._engine.close
        self._pid = 0

    def draw(self, chart: Chart) -> Future[str]:
        """Have a chart drawn; the future gives its SVG, which takes the width that it is given."""
        digest = blake2b(chart.specification + chart.locale.encode(), digest_size=_DIGEST_BYTES).digest()
        with self._lock:
            thread = self._of_this_process()
            found = self._pictures.get(digest)
            if found is None or (found.done() and found.exception() is not None):
                own = digest.hex()[:_ID_LENGTH]
                found = self._pictures[digest] = thread.submit(_svg, self._engine, chart, own)
            self._pictures.move_to_end(digest)
            while len(self._pictures) > self._most:
                self._pictures.popitem(last=False)
        return found

    def warm_up(self) -> None:
        """Start the engine, unless it runs; returns at once."""
        if self._pid != os.getpid():
            for chart in samples():
                self.draw(chart)

    def close(self) -> None:
        """End the engine, once everything is drawn; it begins again with the next chart."""
        with self._lock:
            thread, self._thread, self._pid = self._thread, None, 0
        if thread is not None:
            thread.shutdown()
            self._end()

    def _of_this_process(self) -> ThreadPoolExecutor:
        """Give the thread; after a fork it is the parent's, and so are its engine and what it has yet to draw."""
        if self._thread is None or self._pid != os.getpid():
            self._pid, self._thread = os.getpid(), ThreadPoolExecutor(1, "charts")
            self._pictures.clear()
            self._engine = Engine()
            self._end = weakref.finalize(self, _close, self._engine, self._pid)
        return self._thread


def _close(engine: Engine, pid: int) -> None:
    if pid == os.getpid():
        engine.close()


def _svg(engine: Engine, chart: Chart, own: str) -> str:
    drawn = _ID.sub(rf"\g<1>{own}-\2", engine.svg(chart))  # pictures of one page must not share ids
    return _SIZE.sub("", drawn, count=1).replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1)
