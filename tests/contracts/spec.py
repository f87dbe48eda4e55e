"""The vendors' specifications as judges of requests and answers.

They are not part of the project. They are read from the folder that `VENDOR_SPECS` names, by default `vendor-specs` in
the folder `shared` beside the repository. Without them there is nothing to check against: `require` skips, except
in CI, where a missing judge is a failure.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import httpx
import pytest
from openapi_core import OpenAPI
from openapi_core.datatypes import RequestParameters
from werkzeug.datastructures import Headers, ImmutableMultiDict

DUFFEL = "duffel/duffel-v2.DERIVED.openapi.yaml"
DUFFEL_CARS = "cars/duffel-cars.DERIVED.openapi.yaml"
DUFFEL_HOST = "https://api.duffel.com"

_REPOSITORY = Path(__file__).resolve().parents[2]


def directory() -> Path:
    """Where the specifications are, if they are."""
    return Path(os.environ.get("VENDOR_SPECS") or _REPOSITORY.parent / "shared" / "vendor-specs")


def available(name: str) -> bool:
    """Whether this specification can be read. In CI it must."""
    found = (directory() / name).is_file()
    assert found or not os.environ.get("CI"), f"no {name} in {directory()}: set VENDOR_SPECS"
    return found


def require(name: str) -> Contract:
    """The contract, or a skipped test that says why."""
    if not available(name):
        pytest.skip(f"no {name} in {directory()}: set VENDOR_SPECS to the folder of the vendors' specifications")
    return contract(name)


@cache
def contract(name: str) -> Contract:
    """The contract, read once per process: that takes seconds."""
    file = directory() / name
    if file.suffix == ".json":
        # Read as YAML, which the library would do, its escaped pairs of characters are none.
        return Contract(OpenAPI.from_dict(json.loads(file.read_bytes())))
    return Contract(OpenAPI.from_file_path(str(file)))


def duffel_contract_of(path: str) -> str:
    """Which of Duffel's two documents speaks of a path."""
    return DUFFEL_CARS if path.startswith("/cars/") else DUFFEL


@dataclass
class Contract:
    """One OpenAPI document. Both checks raise with every violation in the message."""

    document: OpenAPI

    def check_request(self, request: httpx.Request, path: str, host: str = DUFFEL_HOST) -> None:
        """The request as the vendor would judge it. `path` is the one of the contract, without our prefix."""
        errors = list(self.document.iter_request_errors(_Request.of(request, path, host)))
        assert not errors, f"{request.method} {path} is not a valid request: {_told(errors)}"

    def check_response(self, response: httpx.Response, path: str, host: str = DUFFEL_HOST) -> None:
        """The answer as the contract promises it."""
        request = _Request.of(response.request, path, host)
        errors = list(self.document.iter_response_errors(request, _Response.of(response)))
        told = _told(errors)
        assert not errors, f"{response.status_code} to {request.method} {path} is not a valid answer: {told}"


@dataclass
class _Request:
    """An httpx request as openapi-core wants it."""

    host_url: str
    path: str
    method: str
    body: bytes | None
    content_type: str
    parameters: RequestParameters = field(default_factory=RequestParameters)

    @classmethod
    def of(cls, request: httpx.Request, path: str, host: str) -> _Request:
        return cls(
            host_url=host,
            path=path,
            method=request.method.lower(),
            body=request.read() or None,
            content_type=request.headers.get("content-type", ""),
            parameters=RequestParameters(
                query=ImmutableMultiDict(request.url.params.multi_items()),
                header=Headers(request.headers.multi_items()),
            ),
        )


@dataclass
class _Response:
    """An httpx response as openapi-core wants it."""

    status_code: int
    content_type: str
    headers: Headers
    data: bytes | None

    @classmethod
    def of(cls, response: httpx.Response) -> _Response:
        content_type = response.headers.get("content-type", "")
        return cls(response.status_code, content_type, Headers(response.headers.multi_items()), response.read())


def _told(errors: list[Exception]) -> str:
    """Each error with its cause: openapi-core says what failed there, and only that it failed here."""
    lines: list[str] = []
    for error in errors:
        causes = getattr(error.__cause__ or error, "schema_errors", None) or [error.__cause__ or error]
        lines += [f"{type(error).__name__}: {str(cause)[:600]}" for cause in causes]
    return "\n".join(lines)
