"""`python -m tests.soak`: soak real servers and write down what came of it; 1 when a figure is out of bounds."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from tests.soak.course import Course
from tests.soak.page import write
from tests.soak.phones import VISITORS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--page", type=Path, help="the file to write the result to")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = Course(Path(folder), seconds=60 * given.minutes, seed=given.seed).run()
    page = write(result, visitors=len(VISITORS), cores=os.cpu_count() or 1)
    sys.stdout.write(page)
    if given.page is not None:
        given.page.write_text(page)
    return 1 if result.complaints() else 0


if __name__ == "__main__":
    sys.exit(main())
