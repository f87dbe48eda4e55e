"""What the layers of one request leave for one another in its ASGI scope."""

from typing import Final

from starlette.types import Scope

_CORRELATION_ID: Final = "travelhub.correlation_id"
_CLIENT_ID: Final = "travelhub.client_id"
_ROUTE: Final = "travelhub.route"


def remember_correlation_id(scope: Scope, correlation_id: str) -> None:
    scope[_CORRELATION_ID] = correlation_id


def correlation_id_of(scope: Scope) -> str:
    """Names this request in logs, workflows and at the vendors."""
    return str(scope[_CORRELATION_ID])


def remember_client(scope: Scope, client_id: str) -> None:
    scope[_CLIENT_ID] = client_id


def client_of(scope: Scope) -> str | None:
    """None as long as nobody has authenticated."""
    return scope.get(_CLIENT_ID)


def remember_route(scope: Scope, template: str) -> None:
    """For a layer that answers in place of the router."""
    scope[_ROUTE] = template


def route_of(scope: Scope) -> str:
    """The template, never the path: ids belong to the line of what was done to them, and unknown paths may hold anything."""
    return scope.get(_ROUTE) or getattr(scope.get("route"), "path", "unmatched")
