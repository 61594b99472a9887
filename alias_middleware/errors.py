"""Every error the library raises. Evidence is on the object; no message ever holds an alias.

AliasError
 +-- SettingsError          (also ValueError)    a setting is missing or wrong
 |    +-- MissingExtra                           a setting needs a package that is not installed
 +-- StorageError                                the storage failed
 |    +-- StorageUnavailable                     for now: locked, down, full; trying later may help
 |    +-- StorageCorrupt                         what is stored cannot be read; trying later will not help
 +-- ProfileError                                a profile cannot be kept as the app wants it
 |    +-- ProfileValueError (also TypeError)     a value is not JSON
 |    +-- ProfileTooLarge   (also ValueError)    the profile is over its size limit
 +-- EventError             (also ValueError)    a purchase, refund or item cannot be recorded
 +-- ContactError           (also ValueError)    a message, or what is known of its visitor, cannot be judged
 +-- SpoolError                                  the local journal cannot take an event
 +-- NotAccepted                                 a gateway has certainly not taken a message
 +-- QuotaSpent                                  the month's conversions to phone numbers are spent
 +-- SendingUncertain                            nobody knows whether a gateway took a message
 +-- UcpError               (also ValueError)    a UCP frame cannot be read or made
 +-- UnreadableCall         (also ValueError)    what a gateway called the site with cannot be read
 +-- BlockingCallError      (also RuntimeError)  a call that does I/O was made on the event loop
"""

# ruff: noqa: N818 - a name that says what is wrong needs no "Error" behind it

from __future__ import annotations

from typing import Any, Literal

__all__ = [
    "AliasError",
    "BlockingCallError",
    "ContactError",
    "EventError",
    "MissingExtra",
    "NotAccepted",
    "ProfileError",
    "ProfileTooLarge",
    "ProfileValueError",
    "QuotaSpent",
    "SendingUncertain",
    "SettingsError",
    "SpoolError",
    "StorageCorrupt",
    "StorageError",
    "StorageUnavailable",
    "UcpError",
    "UnreadableCall",
]


class AliasError(Exception):
    """The root: ``except AliasError`` catches whatever this library raises on purpose."""

    def __reduce__(self) -> tuple[Any, ...]:
        # The default calls the class with ``args`` alone, which fails where evidence is keyword-only.
        return _restore, (type(self), self.args, self.__dict__)


class SettingsError(AliasError, ValueError):
    """A setting is missing or wrong; raised while the application starts, never during a request.

    ``setting`` is its name as the publisher writes it.
    """

    def __init__(self, problem: str, *, setting: str) -> None:
        super().__init__(f"{setting}: {problem}")
        self.setting = setting


class MissingExtra(SettingsError):
    """A setting asks for something whose package is not installed; ``extra`` is what to install."""

    def __init__(self, *, extra: str, setting: str) -> None:
        super().__init__(
            f'needs the optional "{extra}" packages: pip install "alias-middleware[{extra}]"', setting=setting
        )
        self.extra = extra


class StorageError(AliasError):
    """The storage failed. Drivers' own errors arrive as this, with the driver's as ``__cause__``."""


class StorageUnavailable(StorageError):
    """The storage cannot serve now and may later.

    ``reason`` is one word for counters and logs, such as ``"locked"``, ``"down"`` or ``"full"``.
    """

    def __init__(self, detail: str = "", *, reason: str) -> None:
        super().__init__(_with_detail(f"the storage is unavailable ({reason})", detail))
        self.reason = reason


class StorageCorrupt(StorageError):
    """What is stored does not read back as what was written."""


class ProfileError(AliasError):
    """A profile cannot be kept as the application wants it."""


class ProfileValueError(ProfileError, TypeError):
    """``field`` was given a value of the type ``found`` which is not JSON."""

    def __init__(self, *, field: str, found: type, why: str = "only JSON values are kept") -> None:
        super().__init__(f"profile field {field!r} was given a {found.__name__}: {why}")
        self.field = field
        self.found = found


class ProfileTooLarge(ProfileError, ValueError):
    """The profile would take ``size`` bytes where ``limit`` are allowed."""

    def __init__(self, *, size: int, limit: int) -> None:
        super().__init__(f"the profile would take {size} bytes; the limit is {limit}")
        self.size = size
        self.limit = limit


class EventError(AliasError, ValueError):
    """A purchase, a refund or an item has an argument that cannot be recorded; ``field`` names it."""

    def __init__(self, problem: str, *, field: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field


class ContactError(AliasError, ValueError):
    """A message, or what is known of its visitor, has an argument that cannot be judged; ``field`` names it."""

    def __init__(self, problem: str, *, field: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field


class SpoolError(AliasError):
    """The local journal cannot take an event.

    ``reason`` is ``"full"`` (its own limit is reached), ``"disk_full"``, ``"unwritable"`` or ``"too_large"``.
    """

    def __init__(
        self, detail: str = "", *, reason: Literal["full", "disk_full", "unwritable", "too_large"]
    ) -> None:
        super().__init__(_with_detail(f"the spool cannot take an event ({reason})", detail))
        self.reason = reason


class NotAccepted(AliasError):
    """A gateway has certainly not taken a message; ``reason`` is a word for counters, such as ``"refused"``.

    ``temporary``: the message is good, and the gateway may take it later, as when it cannot be reached.
    """

    def __init__(self, *, reason: str, temporary: bool = False) -> None:
        super().__init__(f"the gateway did not take the message ({reason})")
        self.reason = reason
        self.temporary = temporary


class QuotaSpent(AliasError):
    """The operator converts ``limit`` aliases a calendar month, and those of ``month`` are spent."""

    def __init__(self, *, limit: int, month: str) -> None:
        super().__init__(f"the {limit} conversions of {month} are spent")
        self.limit = limit
        self.month = month


class UcpError(AliasError, ValueError):
    """A UCP frame cannot be read or made.

    ``code`` is UCP's own error code (`alias_middleware.smsplus.ucp.ErrorCode`), which a negative answer carries;
    ``field`` is the part of the frame at fault, ``"header"`` where it cannot be told. ``trn`` (0 to 99) and
    ``operation`` (01 to 99) name the frame to answer; they are None where it cannot or must not be answered.
    """

    def __init__(
        self, problem: str, *, code: int, field: str, trn: int | None = None, operation: int | None = None
    ) -> None:
        super().__init__(f"{field}: {problem} (error code {code:02})")
        self.code = code
        self.field = field
        self.trn = trn
        self.operation = operation


class SendingUncertain(AliasError):
    """A gateway may have taken a message, which is not sent again therefore; ``reason`` as in `NotAccepted`."""

    def __init__(self, *, reason: str) -> None:
        super().__init__(f"nobody knows whether the gateway took the message ({reason})")
        self.reason = reason


class UnreadableCall(AliasError, ValueError):
    """What a gateway called the site with cannot be read; ``field`` is the part of the request at fault."""

    def __init__(self, problem: str, *, field: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field


class BlockingCallError(AliasError, RuntimeError):
    """``call`` does I/O and was made on the event loop, where every other request would wait for it."""

    def __init__(self, *, call: str) -> None:
        super().__init__(f"{call} does I/O and was called on the event loop: use run_in_threadpool")
        self.call = call


def _with_detail(message: str, detail: str) -> str:
    return f"{message}: {detail}" if detail else message


def _restore(kind: type[AliasError], args: tuple[object, ...], evidence: dict[str, object]) -> AliasError:
    """Rebuild an error in another process, or as a copy, without calling its constructor."""
    error = kind.__new__(kind, *args)
    error.__dict__.update(evidence)
    return error


def describe(error: BaseException) -> str:
    """Say what went wrong without any value: another library's message might hold an alias."""
    if isinstance(error, AliasError):
        return f"{type(error).__name__}: {error}"
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else ""
    return f"{type(error).__name__}{place}"
