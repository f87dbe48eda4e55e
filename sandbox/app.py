"""The sandbox as one ASGI application: every vendor below its prefix, the fault gate in front, and the control API."""

from __future__ import annotations

import gc
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, Protocol, cast

import orjson
import uvicorn
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route, Router
from starlette.types import Receive, Scope, Send

from sandbox.faults import Fault, FaultGate, FaultPlan, GateVendor
from sandbox.flight_control import flight_routes
from sandbox.vendors import amadeus, avis, duffel, duffel_cars, fcm, liteapi, paypal, rapid, sendgrid, stripe, twilio
from sandbox.world import World, WorldSettings


class VendorModule(Protocol):
    """What a module in `sandbox/vendors` exports. `control_routes(world)`, below `/_sandbox/<VENDOR>`, is optional."""

    # Properties, because a module's constants cannot be assigned to; in capitals, because they are constants.
    @property
    def VENDOR(self) -> str: ...  # noqa: N802
    @property
    def PREFIX(self) -> str: ...  # noqa: N802
    def routes(self, world: World, /) -> list[Route]: ...
    def fault_response(self, fault: Fault, /) -> Response: ...
    def books(self, world: World, /) -> Mapping[str, object]: ...


VENDOR_MODULES: Final[tuple[VendorModule, ...]] = (
    *(duffel, duffel_cars, amadeus, rapid, liteapi, avis),
    *(stripe, paypal),
    *(sendgrid, twilio, fcm),
)


class Sandbox:
    """The application with its world and fault plan, for those who run it in their own process."""

    def __init__(self, seed: int, database: Path | None, settings: WorldSettings) -> None:
        self.world = World(seed, database, settings=settings)
        self.plan = FaultPlan()
        gate_vendors = {
            module.PREFIX: GateVendor(
                module.VENDOR,
                module.PREFIX,
                module.fault_response,
                getattr(module, "remember_fault", None),
                getattr(module, "claim_key", None),
            )
            for module in VENDOR_MODULES
        }
        # A bare router: the layers of a whole Starlette application cost time and would do nothing here.
        application = Router(self._routes(), lifespan=self._lifespan)
        self._gate = FaultGate(application, self.world, self.plan, list(gate_vendors.values()))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._gate(scope, receive, send)

    def _routes(self) -> list[BaseRoute]:
        of_prefix: defaultdict[str, list[Route]] = defaultdict(list)
        for module in VENDOR_MODULES:
            of_prefix[module.PREFIX] += module.routes(self.world)
        vendors = [Mount(prefix, routes=routes) for prefix, routes in of_prefix.items()]
        return [*vendors, Mount("/_sandbox", routes=_control_routes(self.world, self.plan))]

    @asynccontextmanager
    async def _lifespan(self, _application: object) -> AsyncGenerator[None]:
        self.world.start()
        try:
            yield
        finally:
            self.world.close()


def create_app(
    seed: int = 1,
    database: Path | None = None,
    *,
    hold_s: float = WorldSettings.hold_s,
    offer_ttl_s: float = WorldSettings.offer_ttl_s,
) -> Sandbox:
    """A sandbox. Without a database it forgets everything when it ends; use one database in one process at a time."""
    return Sandbox(seed, database, WorldSettings(hold_s=hold_s, offer_ttl_s=offer_ttl_s))


def run(
    host: str = "127.0.0.1",
    port: int = 8090,
    seed: int = 1,
    database: Path | None = None,
    *,
    hold_s: float = WorldSettings.hold_s,
    offer_ttl_s: float = WorldSettings.offer_ttl_s,
) -> None:
    """Serve until told to stop."""
    sandbox = create_app(seed, database, hold_s=hold_s, offer_ttl_s=offer_ttl_s)
    # What is loaded now stays; the collector need not look at it again with every generation.
    gc.collect()
    gc.freeze()
    uvicorn.Server(server_config(sandbox, host, port)).run()


def server_config(sandbox: Sandbox, host: str, port: int) -> uvicorn.Config:
    """How the sandbox is served, here and in tests."""
    return uvicorn.Config(
        sandbox,
        host=host,
        port=port,
        http="httptools",
        loop="uvloop",
        lifespan="on",
        access_log=False,
        proxy_headers=False,
        log_level="warning",
        # Clients keep connections open for longer than uvicorn's 5 s; a close that crosses a request on its way
        # would be a fault nobody planned.
        timeout_keep_alive=120,
        timeout_graceful_shutdown=2,
    )


# --------------------------------------------------------------------------------------------------- control API


def _json(body: object, status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json")


def _control_routes(world: World, plan: FaultPlan) -> list[BaseRoute]:
    async def health(_request: Request) -> Response:
        return _json({"status": "ok", "seed": world.seed, "effects": len(world.ledger)})

    async def reset(_request: Request) -> Response:
        world.reset()
        plan.clear()
        return Response(status_code=204)

    async def ledger(request: Request) -> Response:
        query = request.query_params
        after = query.get("after") or "0"
        if not after.isdecimal():
            return _json({"detail": "after must be the number of an effect"}, 422)
        bodies = world.ledger.bodies(vendor=query.get("vendor"), contains=query.get("contains"), after=int(after))
        return Response(b"[" + b",".join(bodies) + b"]", media_type="application/json")

    async def books(request: Request) -> Response:
        contains = request.query_params.get("contains")
        parts = [module.books(world) for module in VENDOR_MODULES]
        # Looking may expire a hold, which is an effect like any other.
        world.flush()
        return _json({part: _merged(parts, part, contains) for part in ("reservations", "payments", "notices")})

    return [
        Route("/health", health),
        Route("/reset", reset, methods=["POST"]),
        Route("/ledger", ledger),
        Route("/books", books),
        Mount("/flights", routes=flight_routes(world)),
        *_fault_routes(plan),
        *_vendor_control_routes(world),
    ]


def _merged(parts: Iterable[Mapping[str, object]], name: str, contains: str | None) -> list[object]:
    entries = [entry for part in parts for entry in cast("list[object]", part.get(name, []))]
    if contains is None:
        return entries
    return [entry for entry in entries if contains.encode() in orjson.dumps(entry)]


def _fault_routes(plan: FaultPlan) -> list[BaseRoute]:
    async def add(request: Request) -> Response:
        try:
            fault = Fault.model_validate_json(await request.body())
        except ValidationError as error:
            detail = error.errors(include_url=False, include_context=False, include_input=False)
            return _json({"detail": detail}, 422)
        return _json(plan.add(fault).as_json(), 201)

    async def show(_request: Request) -> Response:
        return _json([rule.as_json() for rule in plan.rules.values()])

    async def clear(_request: Request) -> Response:
        plan.clear()
        return Response(status_code=204)

    async def remove(request: Request) -> Response:
        known = plan.remove(cast(str, request.path_params["id"]))
        return Response(status_code=204) if known else _json({"detail": "no such rule"}, 404)

    return [
        Route("/faults", add, methods=["POST"]),
        Route("/faults", show, methods=["GET"]),
        Route("/faults", clear, methods=["DELETE"]),
        Route("/faults/{id}", remove, methods=["DELETE"]),
    ]


def _vendor_control_routes(world: World) -> list[BaseRoute]:
    mounts: list[BaseRoute] = []
    for module in VENDOR_MODULES:
        control = cast("Callable[[World], list[Route]] | None", getattr(module, "control_routes", None))
        if control is not None:
            mounts.append(Mount(f"/{module.VENDOR}", routes=control(world)))
    return mounts
