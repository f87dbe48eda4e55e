"""Answers that are already what they should be: serialised once, by pydantic itself, without a second validation."""

from collections.abc import Mapping

from pydantic import BaseModel
from starlette.responses import Response


def json_answer(body: BaseModel, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(
        body.model_dump_json(),
        status_code=status,
        media_type="application/json",
        headers=None if headers is None else dict(headers),
    )
