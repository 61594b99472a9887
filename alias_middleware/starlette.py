"""For Starlette and FastAPI: the request's visitor, and an authentication backend that needs no login.

The middleware itself is `alias_middleware.asgi.AliasMiddleware`, for `app.add_middleware`.
"""

from typing import cast

from starlette.authentication import AuthCredentials, AuthenticationBackend, BaseUser
from starlette.requests import HTTPConnection

from alias_middleware.asgi import SCOPE_KEY
from alias_middleware.errors import SettingsError
from alias_middleware.visitor import Visitor

SCOPE = "visitor"
"""What a recognised visitor is granted: `@requires("visitor")`."""


def get_visitor(request: HTTPConnection) -> Visitor:
    """Give the visitor of a request or websocket; usable as a FastAPI dependency.

    Raises:
        SettingsError: the app is not wrapped by the middleware.
    """
    visitor = request.scope.get(SCOPE_KEY)
    if not isinstance(visitor, Visitor):
        raise SettingsError("the app lacks it: app.add_middleware(AliasMiddleware, ...)", setting="middleware")
    return visitor


class AliasBackend(AuthenticationBackend):
    """Makes the visitor `request.user` and grants "visitor" to recognised ones.

    For Starlette's `AuthenticationMiddleware`, which must stand inside `AliasMiddleware`: add it first.
    """

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, BaseUser]:
        """Give the visitor, recognised or not, and what he is granted."""
        visitor = get_visitor(conn)
        return AuthCredentials([SCOPE] if visitor else []), cast(BaseUser, visitor)
