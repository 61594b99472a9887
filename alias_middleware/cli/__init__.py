"""The command `alias-middleware`: figures, one visitor, the drainer, the doctor, keys, and a simulated gateway.

What needs click is in `commands`, imported when the command runs: it comes with the extra `cli`.
"""

from __future__ import annotations

import sys

_MISSING = 'alias-middleware: the command line needs click: pip install "alias-middleware[cli]"\n'


def main() -> None:
    """Run the command line with the arguments of this process, and exit."""
    try:
        from alias_middleware.cli.commands import standalone
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        sys.stderr.write(_MISSING)
        sys.exit(2)
    standalone().main(prog_name="alias-middleware")
