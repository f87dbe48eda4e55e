"""One call to a vendor: who may make it, what it asks, and what the fault plan wants of it. Avis Budget and LiteAPI share it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias, TypeVar, cast
from urllib.parse import parse_qs

import orjson
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from sandbox.faults import FAULT_SCOPE_KEY, Fault
from sandbox.world import JsonObject, World

Asked = TypeVar("Asked", bound=BaseModel)


class Refusal(Exception, ABC):
    """An error of a vendor, raised by a handler; it knows how the vendor words it."""

    @abstractmethod
    def response(self) -> Response:
        """The error as the vendor sends it."""


@dataclass(frozen=True, slots=True)
class Reception:
    """How a vendor receives calls."""

    check: Callable[[World, Request], None]
    """Raises a Refusal for a caller who may not."""
    refuse: Callable[[int, str], Refusal]
    """What the vendor says, under a status, of a request that it cannot take; the text tells why."""


@dataclass(frozen=True, slots=True)
class Call:
    """One authenticated request."""

    world: World
    reception: Reception
    path: Mapping[str, str]
    """Parts of the path."""
    query: Mapping[str, Sequence[str]]
    body: bytes
    fault: Fault | None

    def argument(self, name: str) -> str | None:
        """A query parameter, if it is there."""
        return self.query.get(name, (None,))[0]

    def required(self, name: str) -> str:
        """A query parameter that must be there and must not be empty."""
        value = self.argument(name)
        if not value:
            raise self.reception.refuse(400, f"{name} is required")
        return value

    def parsed(self, model: type[Asked]) -> Asked:
        """The body; refused for the first field that is not as the contract says."""
        try:
            return model.model_validate_json(self.body)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            path = ".".join(str(part) for part in first["loc"])
            raise self.reception.refuse(400, f"{path}: {first['msg']}") from error

    def fault_of(self, action: str) -> Fault | None:
        """The fault that the plan wants of this call, if it is this one."""
        return self.fault if self.fault is not None and self.fault.action == action else None


Handler: TypeAlias = Callable[[Call], Response]
"""Handlers do not wait: between reading state and changing it no other request comes in."""


def endpoint(
    world: World, reception: Reception, handler: Handler, *faults: str
) -> Callable[[Request], Awaitable[Response]]:
    """A handler as Starlette calls it. A fault it cannot show is answered 501, so that the test that plans it fails."""

    async def answer(request: Request) -> Response:
        try:
            reception.check(world, request)
            fault = cast("Fault | None", request.scope.get(FAULT_SCOPE_KEY))
            if fault is not None and fault.action not in faults:
                raise reception.refuse(501, f"sandbox_fault_not_supported: {fault.action} cannot happen here")
            query = parse_qs(cast(bytes, request.scope["query_string"]).decode(), keep_blank_values=True)
            path = cast("Mapping[str, str]", request.path_params)
            return handler(Call(world, reception, path, query, await request.body(), fault))
        except Refusal as error:
            return error.response()

    return answer


def json_response(body: JsonObject, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer in JSON."""
    return Response(orjson.dumps(body), status, headers, media_type="application/json")


def number(amount_minor: int) -> float:
    """Cents as a JSON number of whole units, which is how these vendors write money."""
    return float(Decimal(amount_minor) / 100)
