"""The floor of a cached search: a bare FastAPI application whose one route does nothing but answer, served as by api/serve.py."""

import os
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from starlette.responses import Response

PORT = "BENCH_EMPTY_PORT"
PAYLOAD = "BENCH_EMPTY_PAYLOAD"
"""Environment variables: where it listens, and the file with what it answers."""
PATH = "/empty"


def create_app(payload: bytes) -> FastAPI:
    """No documentation, no middleware, no model; the request's body is never read."""
    app = FastAPI(openapi_url=None)

    @app.post(PATH)
    async def answer() -> Response:
        return Response(payload, media_type="application/json")

    return app


def main() -> None:
    payload = Path(os.environ[PAYLOAD]).read_bytes()
    config = uvicorn.Config(
        create_app(payload),
        host="127.0.0.1",
        port=int(os.environ[PORT]),
        loop="uvloop",
        http="httptools",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
    )
    uvicorn.Server(config).run()


if __name__ == "__main__":
    main()
