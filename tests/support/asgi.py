"""What an ASGI server hands over, for tests that are one themselves."""

from __future__ import annotations

from typing import Any

from tests.support.site import ALIAS, GATEWAY

NAMED = [(b"wap-network-info", f"mUserAlias:{ALIAS}".encode())]
START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]}
END = {"type": "http.response.body", "body": b"x"}


def scope_of(kind: str = "http", **more: Any) -> dict[str, Any]:
    """What a server makes of a gateway's request."""
    scope = {"type": kind, "path": "/", "client": (GATEWAY, 4711), "headers": list(NAMED)}
    return {**scope, **({"method": "GET"} if kind == "http" else {}), **more}
