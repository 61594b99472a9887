from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from alias_middleware.dashboard import vega_process
from alias_middleware.dashboard.charts import Chart, histogram
from alias_middleware.dashboard.drawing import Drawer
from alias_middleware.dashboard.engine import Engine


def bars(*values: int, language: str = "en") -> Chart:
    rows = [{"name": str(place), "value": value} for place, value in enumerate(values)]
    return histogram(rows, x="x", y="y", language=language)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with closing(Engine()) as started:
        yield started


def test_equal_charts_are_drawn_once(drawer: Drawer) -> None:
    """The second asker gets the first one's picture; another language is another picture."""
    first = drawer.draw(bars(1, 20_000))
    assert drawer.draw(bars(1, 20_000)) is first
    assert drawer.draw(bars(1, 20_000, language="fr")).result() != first.result()
    assert "20,000" in first.result()


def test_pictures_are_forgotten(engine: Engine) -> None:
    """Only so many are remembered, those asked for last."""
    with closing(Drawer(kept=2)) as drawer:
        first, second = drawer.draw(bars(1)), drawer.draw(bars(2))
        assert drawer.draw(bars(1)) is first
        drawer.draw(bars(3))
        assert drawer.draw(bars(1)) is first
        assert drawer.draw(bars(2)) is not second


def test_a_picture_fits_the_page(drawer: Drawer) -> None:
    """It has no size, style or script of its own, is hidden from screen readers, and shares no id with another."""
    one, other = drawer.draw(bars(1, 2)).result(), drawer.draw(bars(2, 1)).result()
    assert one.startswith('<svg aria-hidden="true" focusable="false" ')
    assert "<style" not in one
    assert "<script" not in one
    assert one.replace("clip", "").count('id="') == one.count('id="')
    assert other != one


def test_a_chart_that_cannot_be_drawn(drawer: Drawer) -> None:
    """It is told why, the next one is drawn all the same, and it is tried again when it is asked for again."""
    wrong = Chart(b'{"mark": 7}', "en-GB")
    failed = drawer.draw(wrong)
    with pytest.raises(ValueError, match="Vega"):
        failed.result()
    assert drawer.draw(bars(5)).result()
    assert drawer.draw(wrong) is not failed


def test_an_engine_that_died_is_started_anew(engine: Engine) -> None:
    """Whoever killed it: the next picture is drawn by another one."""
    assert engine.svg(bars(1))
    assert engine._process is not None
    first = engine._process.pid
    os.kill(first, signal.SIGKILL)
    engine._process.wait()
    assert engine.svg(bars(1))
    assert engine._process.pid != first


def test_an_engine_that_hangs_is_ended() -> None:
    """Nobody waits for it for ever, not even the end of the site; the next picture is drawn by another one."""
    with closing(Engine()) as engine:
        assert engine.svg(bars(1))
        assert engine._process is not None
        hanging = engine._process
        os.kill(hanging.pid, signal.SIGSTOP)
        rescue = threading.Timer(20, hanging.kill)
        rescue.start()
        engine._patience = 0.01
        with pytest.raises(OSError, match="ended"):  # the second one has not enough time to start
            engine.svg(bars(1))
        assert rescue.is_alive()
        rescue.cancel()
        assert hanging.wait(20) == -signal.SIGKILL
        engine._patience = 60
        assert engine.svg(bars(1))


def test_an_engine_that_was_ended_stays_so() -> None:
    """What is still asked for when the site ends starts no process that would outlive it."""
    engine = Engine()
    engine.close()
    with pytest.raises(OSError, match="ended"):
        engine.svg(bars(1))


def test_a_drawer_takes_its_engine_along() -> None:
    """When an app is forgotten its engine ends."""
    drawer = Drawer()
    assert drawer.draw(bars(1)).result()
    process = drawer._engine._process
    assert process is not None
    del drawer
    assert process.wait(10) == 0


def test_an_idle_engine_ends() -> None:
    """An engine that nobody needs gives its memory back; it ends with its parent, too."""
    path = Path(vega_process.__file__)
    command = f"import runpy; runpy.run_path({str(path)!r})['main'](idle_seconds=0.01)"
    with subprocess.Popen([sys.executable, "-c", command], stdin=subprocess.PIPE) as process:
        assert process.wait(20) == 0


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_after_a_fork(drawer: Drawer) -> None:
    """A child has an engine of its own, and leaves its parent's alone."""
    before = len(drawer.draw(bars(1, 2, 3)).result())
    if not (child := os.fork()):
        same = abs(len(drawer.draw(bars(1, 2, 3)).result()) - before) < 100  # but for its ids
        drawer.close()
        os._exit(0 if same else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert drawer.draw(bars(3, 2, 1)).result()


def test_an_embedded_python_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """uWSGI and others name themselves as the executable: the interpreter is looked for beside."""
    monkeypatch.setattr(sys, "executable", "/usr/bin/uwsgi")
    with closing(Engine()) as engine:
        assert engine.svg(bars(1))
