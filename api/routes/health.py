"""Health: for orchestrators, without a token, and without a word about where anything is."""

from fastapi import APIRouter
from starlette.responses import Response

from api.answers import json_answer
from api.readiness import Health
from api.services import Serve

router = APIRouter(prefix="/health", tags=["health"])


@router.get("/live", response_model=Health)
async def live() -> Response:
    """The process answers. Says nothing about what it depends on: a restart would not bring that back."""
    return json_answer(Health(status="alive"))


@router.get("/ready", response_model=Health, responses={503: {"model": Health, "description": "Something is away"}})
async def ready(services: Serve) -> Response:
    """PostgreSQL and Temporal can be reached. Without Valkey it is `degraded`, and ready all the same: nothing is lost."""
    if services.draining.is_set() or services.live.leaving:
        return json_answer(Health(status="unavailable", checks={"process": "draining"}), 503)
    found = await services.readiness.ready()
    return json_answer(found, 200 if found.ok else 503)


@router.get("/startup", response_model=Health, responses={503: {"model": Health, "description": "Not started yet"}})
async def startup(services: Serve) -> Response:
    """The database's schema is one this release knows, and the pool is warm."""
    found = await services.readiness.started()
    return json_answer(found, 200 if found.ok else 503)
