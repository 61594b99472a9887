"""What a log tells whoever reads it."""

from __future__ import annotations

import logging


def told(record: logging.LogRecord) -> str:
    """Give its line, with any traceback, and the parts that collectors of errors keep besides."""
    line = logging.Formatter("%(name)s %(levelname)s %(message)s").format(record)
    return f"{line}\n{record.msg!r}\n{record.args!r}\n{record.exc_info!r}"
