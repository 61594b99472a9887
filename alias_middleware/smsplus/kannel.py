"""Kannel as the gateway to the operator: messages handed to its sendsms over HTTP. How it calls us: `calls`."""

from __future__ import annotations

import re
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlsplit

from alias_middleware import gsm
from alias_middleware.errors import AliasError, MissingExtra, NotAccepted, SendingUncertain, SettingsError
from alias_middleware.transport import Outgoing

if TYPE_CHECKING:
    import httpx

_MESSAGE_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_SENDER = re.compile(r"[!-~](?:[ -~]{0,19}[!-~])?")
_RECEIVER = re.compile(r"\+?[0-9]{1,21}")
_CREDENTIAL = re.compile(r"[!-~]{1,64}")
_EVERY_REPORT: Final = "31"


class KannelTransport:
    """Hands messages to Kannel's sendsms over HTTP; what becomes of them, its reports tell.

    Alias, text and password go in headers and body, so that no access log shows them. Safe for threads.
    """

    def __init__(
        self,
        url: str,
        *,
        username: str,
        password: str,
        reports_to: str | None = None,
        smsc: str | None = None,
        max_segments: int = 5,
        timeout: float = 10.0,
    ) -> None:
        """Send by the Kannel at `url`, such as ``http://127.0.0.1:13013/cgi-bin/sendsms``.

        Args:
            url: of sendsms.
            username: of the group `sendsms-user`.
            password: the same.
            reports_to: where `KannelEndpoint` is mounted, then ``/report``, with user and secret:
                ``http://kannel:SECRET@127.0.0.1:8001/smsplus/kannel/report``. Without, no reports are asked for.
            smsc: the `smsc-id` to go out by, where there are several.
            max_segments: Kannel's `max-messages`: it cuts a longer text off in silence, which is refused here.
            timeout: seconds for an answer; after that nobody knows whether the message was taken.

        Raises:
            MissingExtra: httpx is not installed.
            SettingsError: an URL or a credential is no use; values are not shown.
        """
        try:
            import httpx
        except ModuleNotFoundError:
            raise MissingExtra(extra="smsplus", setting="transport") from None
        self._url = _checked_url(url, "url")
        self._headers = {
            "X-Kannel-Username": _credential(username, "username"),
            "X-Kannel-Password": _credential(password, "password"),
            "Content-Type": 'text/plain; charset="UTF-8"',
            **({} if smsc is None else {"X-Kannel-SMSC": _credential(smsc, "smsc")}),
        }
        self._reports_to = None if reports_to is None else _checked_url(reports_to, "reports_to")
        self._max_segments = max_segments
        self._httpx = httpx
        # Never by a proxy of the environment: it would be shown aliases.
        self._client = httpx.Client(timeout=timeout, trust_env=False)

    def __repr__(self) -> str:
        return f"KannelTransport({urlsplit(self._url).netloc.rpartition('@')[2]})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections to Kannel."""
        self._client.close()

    def send(self, message: Outgoing) -> None:
        """Hand a message over; when this returns Kannel has accepted it, which is not yet sent.

        Raises:
            NotAccepted: Kannel has certainly not taken it. `reason`: ``bad_id``, ``bad_sender``, ``bad_receiver``,
                ``bad_text``, ``empty``, ``too_long``, ``unreachable``, ``denied``, ``unroutable``, ``refused`` or,
                which may pass, ``busy``.
            SendingUncertain: nobody knows: no answer in time, or none that Kannel gives.
        """
        headers, body, segments = self._request(message)
        outcome = self._post(headers, body)
        if isinstance(outcome, AliasError):
            raise outcome  # outside of any `except`: httpx's own error would bring the request along
        if not outcome.is_success:
            raise _refusal(outcome.status_code, outcome.content, segments)

    def _request(self, message: Outgoing) -> tuple[dict[str, str], bytes, int]:
        for value, pattern, reason in (
            (message.message_id, _MESSAGE_ID, "bad_id"),
            (message.sender, _SENDER, "bad_sender"),
            (message.receiver, _RECEIVER, "bad_receiver"),
        ):
            if pattern.fullmatch(value) is None:
                raise NotAccepted(reason=reason)
        segments = len(gsm.segments(message.text))
        if not message.text or segments > self._max_segments:
            raise NotAccepted(reason="too_long" if message.text else "empty")
        body = message.text.encode("utf-8", "replace")
        if body.decode() != message.text:  # half a surrogate pair
            raise NotAccepted(reason="bad_text")
        coding = "0" if gsm.is_gsm(message.text) else "2"  # with 0 Kannel would send "?" for every other character
        headers = {
            **self._headers,
            "X-Kannel-From": message.sender,
            "X-Kannel-To": message.receiver,
            "X-Kannel-Coding": coding,
        }
        if self._reports_to is not None:
            headers["X-Kannel-DLR-Mask"] = _EVERY_REPORT
            headers["X-Kannel-DLR-URL"] = f"{self._reports_to}?id={message.message_id}&type=%d"
        return headers, body, segments

    def _post(self, headers: dict[str, str], body: bytes) -> httpx.Response | AliasError:
        httpx = self._httpx
        try:
            return self._client.post(self._url, headers=headers, content=body)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout):
            return NotAccepted(reason="unreachable", temporary=True)
        except httpx.TimeoutException:
            return SendingUncertain(reason="timeout")
        except httpx.HTTPError:
            return SendingUncertain(reason="broken")


def _refusal(status: int, content: bytes, segments: int) -> AliasError:
    """What an answer other than success means. A long text may have been taken in part when Kannel is busy."""
    if status == 403:
        if b"routable" in content:
            return NotAccepted(reason="unroutable")
        return NotAccepted(reason="denied", temporary=True)  # the credentials are wrong, not the message
    if 400 <= status < 500:
        return NotAccepted(reason="refused")
    if status == 503 and segments == 1:
        return NotAccepted(reason="busy", temporary=True)
    return SendingUncertain(reason=f"status_{status}")


def _checked_url(url: str, setting: str) -> str:
    """An URL that can stand in a header and in Kannel's own templates; its value may hold a secret."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or set("%?# \r\n") & set(url):
        raise SettingsError("give an http URL without query, blanks or percent signs", setting=setting)
    if not url.isascii() or not url.isprintable():
        raise SettingsError("give an http URL of printable ASCII", setting=setting)
    return url


def _credential(value: str, setting: str) -> str:
    if _CREDENTIAL.fullmatch(value) is None:
        raise SettingsError("give 1 to 64 characters of printable ASCII without blanks", setting=setting)
    return value
