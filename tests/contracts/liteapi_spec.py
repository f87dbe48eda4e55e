"""LiteAPI's published contracts as judges of requests and answers: one document each for search, booking and hotel data."""

from __future__ import annotations

import json
from functools import cache

import httpx
from openapi_core import OpenAPI

from tests.contracts import spec

_DOCUMENTS = {
    "/v3.0/data/": ("liteapi/static.json", "https://api.liteapi.travel"),
    "/v3.0/hotels/": ("liteapi/search.json", "https://api.liteapi.travel"),
    "/v3.0/": ("liteapi/booking.json", "https://book.liteapi.travel"),
}
_WITHOUT_BODY = ("204", "304")


def check(response: httpx.Response, prefix: str) -> None:
    """The answer, and where it is a good one the request too; nothing where the specifications are absent.

    `prefix` is what our path has before `/v3.0`.
    """
    response.read()
    path = response.request.url.path.removeprefix(prefix)
    name, host = next(found for start, found in _DOCUMENTS.items() if path.startswith(start))
    # No operation declares 429, 501 or 503: there is nothing to hold them against.
    if not spec.available(name) or response.status_code in (429, 501, 503):
        return
    judge = _contract(name)
    judge.check_response(response, path, host)
    if response.is_success:
        judge.check_request(response.request, path, host)


@cache
def _contract(name: str) -> spec.Contract:
    """The contract, read once per process, without the bodies of answers that HTTP gives none."""
    document = json.loads((spec.directory() / name).read_bytes())
    for operations in document["paths"].values():
        for operation in operations.values():
            for status in _WITHOUT_BODY:
                operation["responses"].get(status, {}).pop("content", None)
    return spec.Contract(OpenAPI.from_dict(document))
