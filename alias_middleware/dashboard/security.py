"""Who may see the dashboard: the password, the signed link, sessions, forms, and tokens that name visitors.

Everything is kept by the browser, signed; nothing here is stored. Clocks and randomness are passed in.
"""

from __future__ import annotations

import hashlib
import hmac
import threading
from base64 import urlsafe_b64encode
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from itsdangerous import BadData, TimestampSigner, URLSafeTimedSerializer

from alias_middleware.dashboard.nonsense import NonsenseError
from alias_middleware.errors import SettingsError

SESSION_SECONDS = 12 * 3600
LINK_SECONDS = 15 * 60
FORM_SECONDS = 2 * 3600

_SHORTEST_PASSWORD = 8
_FAILURES = 5
_FAILURES_SECONDS = 15 * 60
_MOST_ADDRESSES = 10_000
_ID_BYTES = 16


class Session(msgspec.Struct, frozen=True):
    """What the cookie of somebody who was let in says. `revealed`: aliases are shown whole."""

    id: str
    language: str | None = None
    revealed: bool = False


class Gate:
    """Lets people in and names visitors without their alias.

    `secret_keys` run from oldest to newest: the newest signs, all verify. `now` gives seconds since the epoch,
    `entropy(n)` n random bytes. Without a password only signed links open.

    Raises:
        SettingsError: no keys, or a password that is guessed too soon.
    """

    def __init__(
        self,
        secret_keys: Sequence[bytes],
        password: str | None,
        *,
        now: Callable[[], float],
        entropy: Callable[[int], bytes],
    ) -> None:
        if not secret_keys:
            raise SettingsError(
                "the dashboard signs its sessions; `alias-middleware keys` makes one", setting="secret_keys"
            )
        if password is not None and len(password) < _SHORTEST_PASSWORD:
            raise SettingsError(f"a password of {_SHORTEST_PASSWORD} characters or more", setting="password")
        self._password = None if password is None else _digest(password)
        self._entropy = entropy
        self._links = self._serializer(secret_keys, "link", now)
        self._sessions = self._serializer(secret_keys, "session", now)
        self._forms = self._serializer(secret_keys, "form", now)
        self._cipher = MultiFernet([Fernet(_cipher_key(key)) for key in reversed(secret_keys)])
        self._failures = Failures(now)
        self._spent = Spent(now)

    @staticmethod
    def _serializer(keys: Sequence[bytes], purpose: str, now: Callable[[], float]) -> URLSafeTimedSerializer:
        class Signer(TimestampSigner):
            def get_timestamp(self) -> int:
                return int(now())

        return URLSafeTimedSerializer(
            list(keys),
            salt=f"alias_middleware.dashboard.{purpose}",
            signer=Signer,
            signer_kwargs={"digest_method": hashlib.sha256},
        )

    @property
    def asks_for_password(self) -> bool:
        """Whether there is a password to ask for."""
        return self._password is not None

    def link(self) -> str:
        """Make the token of a signed link: good once, for 15 minutes."""
        return str(self._links.dumps(self._entropy(_ID_BYTES).hex()))

    def opens_by_link(self, token: str) -> bool:
        """Tell whether a link's token is ours, not too old, and not spent."""
        return self._spent.may_spend(_read(self._links, token, LINK_SECONDS))

    def spend_link(self, token: str) -> bool:
        """Open by a link, which opens no more in this process; False if it does not open."""
        return self._spent.spend(_read(self._links, token, LINK_SECONDS))

    def may_try(self, address: str) -> bool:
        """Tell whether an address may try a password: not after 5 wrong ones in 15 minutes."""
        return self._failures.allow(address)

    def opens_by_password(self, password: str, address: str) -> bool:
        """Tell whether a password is right, in constant time; a wrong one counts against the address."""
        if self._password is not None and hmac.compare_digest(_digest(password), self._password):
            return True
        self._failures.add(address)
        return False

    def session(self) -> Session:
        """Begin a session."""
        return Session(self._entropy(_ID_BYTES).hex())

    def cookie(self, session: Session) -> str:
        """Write a session's cookie: good for 12 hours from now."""
        return str(self._sessions.dumps(msgspec.to_builtins(session)))

    def read_cookie(self, cookie: str) -> Session | None:
        """Read a cookie; None if it is forged or too old."""
        found = _read(self._sessions, cookie, SESSION_SECONDS)
        try:
            return None if found is None else msgspec.convert(found, Session)
        except msgspec.ValidationError:
            return None

    def nonce(self) -> str:
        """Make what the browser of somebody who is not let in yet keeps for the form he is shown."""
        return self._entropy(_ID_BYTES).hex()

    def form_token(self, owner: str) -> str:
        """Make what a form carries to show that we made it, for the session or nonce `owner`."""
        return str(self._forms.dumps(owner))

    def made_form(self, token: str, owner: str) -> bool:
        """Tell whether a form was made by us, for this owner, in the last two hours."""
        found = _read(self._forms, token, FORM_SECONDS)
        return isinstance(found, str) and bool(owner) and hmac.compare_digest(found.encode(), owner.encode())

    def sealed(self, text: str) -> str:
        """Encrypt what a URL must not show; each time it looks otherwise."""
        return self._cipher.encrypt(text.encode()).decode()

    def unsealed(self, token: str) -> str:
        """Decrypt what `sealed` gave.

        Raises:
            NonsenseError: it did not.
        """
        try:
            return self._cipher.decrypt(token.encode()).decode()
        except InvalidToken:
            raise NonsenseError("token") from None


class Failures:
    """Counts wrong passwords by address, of a bounded number of addresses, in this process."""

    def __init__(self, now: Callable[[], float]) -> None:
        """Begin with none."""
        self._now = now
        self._lock = threading.Lock()
        self._times: OrderedDict[str, deque[float]] = OrderedDict()

    def allow(self, address: str) -> bool:
        """Tell whether the address has tried less often than is too often."""
        with self._lock:
            times = self._times.get(address, ())
            return sum(self._now() - each < _FAILURES_SECONDS for each in times) < _FAILURES

    def add(self, address: str) -> None:
        """Count a failure; the address that failed longest ago makes room."""
        with self._lock:
            self._times.setdefault(address, deque(maxlen=_FAILURES)).append(self._now())
            self._times.move_to_end(address)
            while len(self._times) > _MOST_ADDRESSES:
                self._times.popitem(last=False)


class Spent:
    """The links that have opened in this process, for as long as they would open again."""

    def __init__(self, now: Callable[[], float]) -> None:
        """Begin with none."""
        self._now = now
        self._lock = threading.Lock()
        self._times: dict[str, float] = {}

    def may_spend(self, link: object) -> bool:
        """Tell whether a link that was read has not opened yet; None is one that could not be read."""
        with self._lock:
            return isinstance(link, str) and link not in self._times

    def spend(self, link: object) -> bool:
        """Keep that a link opens; False if it did before."""
        with self._lock:
            if not isinstance(link, str) or link in self._times:
                return False
            now = self._now()
            kept = {each: since for each, since in self._times.items() if now - since <= LINK_SECONDS}
            self._times = {**kept, link: now}
            return True


def _digest(password: str) -> bytes:
    return hashlib.sha256(password.encode()).digest()


def _cipher_key(secret: bytes) -> bytes:
    return urlsafe_b64encode(hmac.digest(secret, b"alias_middleware.dashboard.cipher", "sha256"))


def _read(serializer: URLSafeTimedSerializer, token: str, seconds: int) -> Any:
    try:
        return serializer.loads(token, max_age=seconds)
    except BadData:
        return None
