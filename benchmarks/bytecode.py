"""Processes that find compiled what they import, as `pip install` leaves it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[1]


def as_installed(folder: Path, *modules: str) -> dict[str, str]:
    """An environment whose processes find these modules compiled, not ours alone compiled anew by each."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(folder / "bytecode")
    environment["PYTHONPATH"] = str(_ROOT)
    subprocess.run([sys.executable, "-c", f"import {', '.join(modules)}"], env=environment, cwd=folder, check=True)
    return environment
