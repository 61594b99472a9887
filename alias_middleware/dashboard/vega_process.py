"""The program that draws: a line of JSON with a chart comes in, one with its SVG or an error goes out.

Run by `engine` in a process of its own, by its path; it imports nothing of this package.
"""

from __future__ import annotations

import json
import os
import select
from typing import BinaryIO

_VEGA_LITE = "6.1"
_IDLE_SECONDS = 15 * 60.0
"""How long it waits for the next chart: an engine that nobody needs gives its memory back."""


def main(idle_seconds: float = _IDLE_SECONDS) -> None:
    """Draw until nobody asks any more."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever the engine prints is no answer
    questions = os.fdopen(0, "rb", buffering=0)
    while select.select([questions], [], [], idle_seconds)[0] and (line := questions.readline()):
        _answer(line, answers)


def _answer(line: bytes, answers: BinaryIO) -> None:
    import vl_convert  # takes its time: the parent goes on meanwhile

    chart = json.loads(line)
    try:
        drawn = vl_convert.vegalite_to_svg(
            chart["specification"],
            vl_version=_VEGA_LITE,
            format_locale=chart["locale"],
            time_format_locale=chart["locale"],
        )
        found = {"svg": drawn}
    except ValueError as error:
        found = {"error": str(error)}
    answers.write(json.dumps(found).encode() + b"\n")
    answers.flush()


if __name__ == "__main__":
    main()
