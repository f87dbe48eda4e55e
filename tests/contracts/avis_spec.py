"""Our derived contract of Avis Budget as a judge. It lies beside this file: the vendor's own is not among the specifications."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import httpx
from openapi_core import OpenAPI

from tests.contracts import spec

_DOCUMENT = Path(__file__).with_name("avis-budget.DERIVED.openapi.yaml")
_HOST = "https://stage.abgapiservices.com"


@cache
def contract() -> AvisContract:
    """The contract, read once per process."""
    return AvisContract()


class AvisContract:
    """Its checks raise with every violation in the message."""

    def __init__(self) -> None:
        self._contract = spec.Contract(OpenAPI.from_file_path(str(_DOCUMENT)))

    def check(self, response: httpx.Response, prefix: str) -> None:
        """The answer, and where it is a good one the request too. `prefix` is what our path has before the contract's."""
        response.read()
        path = response.request.url.path.removeprefix(prefix)
        self._contract.check_response(response, path, _HOST)
        if response.is_success:
            self.check_request(response.request, path)

    def check_request(self, request: httpx.Request, path: str) -> None:
        self._contract.check_request(request, path, _HOST)
