"""What the settings themselves tell: whom they trust, and how good their keys are. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network

from alias_middleware.doctor.findings import Finding, Level, fail, ok, warn
from alias_middleware.settings import Settings

_NARROW = "name the addresses that the operator gave you for his gateways, as 10.12.0.0/16"
_WIDE_PRIVATE_BITS = 17
"""A private range of more than 2**16 addresses is a whole network, not its gateways."""
_WIDE_PUBLIC_BITS = 8
_GOOD_KEY_BYTES = 32
_GOOD_KEY_VARIETY = 10

Network = IPv4Network | IPv6Network


def trust(settings: Settings) -> list[Finding]:
    """Check whom the header is believed from."""
    entries = list(settings.trusted_gateways)
    if not entries:
        return [
            warn(
                "trust",
                "no trusted gateway is known here",
                "say --app MODULE:NAME or --trusted-gateways; a site that trusts nobody recognises nobody",
            )
        ]
    networks = [ip_network(entry, strict=False) for entry in entries if entry != "unix"]
    found = [finding for network in networks for finding in _network(network, settings)]
    if "unix" in entries and settings.gateway_secret is None:
        found.append(
            warn(
                "trust",
                "whoever may connect to the Unix socket is trusted",
                "let its permissions keep out all but the proxy, and let the proxy delete phones' copies",
            )
        )
    secret = "" if settings.gateway_secret is None else ", with a secret"
    return found or [ok("trust", f"{', '.join(map(str, entries))}{secret}")]


def _network(network: Network, settings: Settings) -> Iterator[Finding]:
    bits = network.max_prefixlen - network.prefixlen
    if network.prefixlen == 0:
        yield fail("trust", f"{network} trusts everyone: any phone can be any visitor", _NARROW)
    elif network.is_loopback:
        if settings.gateway_secret is None:
            yield warn(
                "trust",
                f"{network} trusts every program of this machine, a proxy of your own included",
                "for a trial only; behind a proxy of your own see the README, or ask for a gateway_secret",
            )
    elif not network.is_private and bits > _WIDE_PUBLIC_BITS:
        yield fail("trust", f"{network} trusts {network.num_addresses} addresses of the public internet", _NARROW)
    elif network.is_private and bits >= _WIDE_PRIVATE_BITS:
        level = Level.WARN if settings.gateway_secret is None else Level.OK
        yield Finding(level, "trust", f"{network} trusts {network.num_addresses} addresses", _NARROW)


def keys(settings: Settings) -> list[Finding]:
    """Check the secrets that the settings hold. No message shows anything of one."""
    named: dict[str, Sequence[bytes]] = {
        "secret_keys": settings.secret_keys,
        "pseudonym_keys": settings.pseudonym_keys,
    }
    if settings.gateway_secret is not None:
        named["gateway_secret"] = [settings.gateway_secret[1].encode()]
    found = [finding for name, secrets in named.items() for finding in _secrets(name, secrets)]
    if not settings.secret_keys:
        found.append(
            ok(
                "keys",
                "no secret_keys: SQLite remembers the erased under a key file of its own, to back up too",
            )
        )
    return found


def _secrets(name: str, secrets: Sequence[bytes]) -> Iterator[Finding]:
    made = "make it with `alias-middleware keys`, and put new secret_keys last, so that the old still verify"
    if not secrets:
        return
    weak = [place for place, secret in enumerate(secrets, 1) if not _is_good(secret)]
    if weak:
        which = ", ".join(map(str, weak))
        yield warn("keys", f"{name}: number {which} of {len(secrets)} is short or easily guessed", made)
    if len(set(secrets)) < len(secrets):
        yield warn("keys", f"{name}: the same key stands there twice", made)
    if not weak:
        yield ok("keys", f"{name}: {len(secrets)}, the shortest of {min(map(len, secrets))} bytes")


def _is_good(secret: bytes) -> bool:
    return len(secret) >= _GOOD_KEY_BYTES and len(set(secret)) >= _GOOD_KEY_VARIETY
