"""Whom the operator's header is believed from: the gateways' addresses, and optionally a secret they add.

Pure: nothing is remembered but which peers are gateways.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Collection, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from alias_middleware.errors import SettingsError
from alias_middleware.identity import OWS, Pairs, header_name

_SECRET_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
_IPV4_MAPPED = IPv6Network("::ffff:0:0/96")
_LONGEST_ADDRESS = len("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255")
_PEERS_REMEMBERED = 4096


class Trust:
    """Who may name a visitor: the operator's gateways, and optionally a secret they add.

    ``gateways`` holds addresses, CIDR ranges (bits below the mask are ignored) and ``"unix"`` for peers on a
    Unix socket; empty trusts nobody. ``secret`` is a header's (name, value), asked for besides the address;
    ``secret_name`` is to be kept from the app. Raises `SettingsError` for anything else.
    """

    secret_name: bytes | None

    def __init__(self, gateways: Sequence[str], secret: tuple[str, str] | None = None) -> None:
        entries = require_gateways(gateways)
        self._unix = "unix" in entries
        self._networks = tuple(_network(entry) for entry in entries if entry != "unix")
        self.secret_name, self._secret = (None, b"") if secret is None else _secret_header(secret)
        self._decided: dict[str, bool] = {}

    def __repr__(self) -> str:
        gateways = [*map(str, self._networks), *(["unix"] if self._unix else [])]
        return f"Trust(gateways={gateways}, secret={'<hidden>' if self.secret_name else None})"

    def admits(self, peer: str | None, pairs: Pairs) -> bool:
        """Whether a request from ``peer`` with these headers comes from a gateway; never raises.

        None or "" is a Unix socket; anything that is not a plain address is not trusted.
        """
        decided = self._decided.get(peer) if peer else None
        trusted = self._trusts(peer) if decided is None else decided
        return trusted and (self.secret_name is None or self._has_secret(pairs))

    def _trusts(self, peer: str | None) -> bool:
        if not peer:
            return self._unix
        if len(peer) > _LONGEST_ADDRESS:
            return False
        if len(self._decided) >= _PEERS_REMEMBERED:  # a peer may be any forged text: bound what it costs
            self._decided.clear()
        decided = self._decided[peer] = self._in_networks(peer)
        return decided

    def _in_networks(self, peer: str) -> bool:
        if "%" in peer:  # a zone id names a link of this machine, not a gateway
            return False
        try:
            address = ip_address(peer)
        except ValueError:
            return False
        plain = getattr(address, "ipv4_mapped", None) or address
        return any(plain in network for network in self._networks)

    def _has_secret(self, pairs: Pairs) -> bool:
        values = [value for name, value in pairs if name == self.secret_name]
        return len(values) == 1 and hmac.compare_digest(values[0].strip(OWS), self._secret)


def require_gateways(gateways: Sequence[str] | None) -> Sequence[str]:
    """Return ``gateways``; raise a `SettingsError` that explains the setting if it is missing or no list."""
    if isinstance(gateways, Collection) and not isinstance(gateways, str | bytes):
        return gateways
    raise SettingsError(
        "list the addresses of the operator's gateways, the only peers whose alias header is believed: "
        '["10.12.0.0/16"], say; ["127.0.0.1"] for a local trial; "unix" in the list for a proxy on a Unix '
        "socket; [] for nobody. There is no default: on a site that believes everyone, anyone could forge "
        f"the header and be shown another visitor's profile. Found: {type(gateways).__name__}",
        setting="trusted_gateways",
    )


def _network(entry: object) -> IPv4Network | IPv6Network:
    try:
        if not isinstance(entry, str) or "%" in entry:
            raise ValueError("not an address, a CIDR range or 'unix'")
        network = ip_network(entry, strict=False)
    except ValueError as error:
        raise SettingsError(
            f"{entry!r} is no address such as '10.12.0.1', CIDR range such as '10.12.0.0/16', or 'unix'",
            setting="trusted_gateways",
        ) from error
    if isinstance(network, IPv6Network) and network.subnet_of(_IPV4_MAPPED):
        return IPv4Network((network.network_address.packed[-4:], network.prefixlen - _IPV4_MAPPED.prefixlen))
    return network


def _secret_header(secret: tuple[str, str]) -> tuple[bytes, bytes]:
    """Check and encode the (name, value) pair; the value appears in no message."""
    match secret:
        case (str(name), str(value)) if _SECRET_VALUE.fullmatch(value):
            return header_name(name, setting="gateway_secret").encode(), value.encode("ascii")
    raise SettingsError(
        "give (header name, value), the value printable ASCII without blanks around it",
        setting="gateway_secret",
    )
