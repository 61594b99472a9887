"""Login-free visitors for sites whose mobile operator names the client in a header.

The edges are `alias_middleware.wsgi`, `.asgi`, `.flask` and `.starlette`.
"""

from alias_middleware.errors import AliasError
from alias_middleware.events import Item
from alias_middleware.identity import HeaderAlias, WapNetworkInfo
from alias_middleware.tracker import Tracker
from alias_middleware.visitor import Visitor, current_visitor

__all__ = ["AliasError", "HeaderAlias", "Item", "Tracker", "Visitor", "WapNetworkInfo", "current_visitor"]
__version__ = "0.1.0"
