"""The published contracts of SendGrid and Twilio as judges of requests and answers."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import httpx
import pytest
from openapi_core import OpenAPI

from tests.contracts import spec

SENDGRID = "sendgrid/tsg_mail_v3.json"
TWILIO = "twilio/twilio_api_v2010-messages.json"
HOSTS = {SENDGRID: "https://api.sendgrid.com", TWILIO: "https://api.twilio.com"}


def available(name: str) -> bool:
    """Whether this contract can be read. In CI it must."""
    return spec.available(name)


def require(name: str) -> None:
    """Skips the test, saying why, where the contract is not at hand."""
    if not available(name):
        pytest.skip(f"no {name} in {spec.directory()}: set VENDOR_SPECS to the folder of the vendors' specifications")


def check_request(name: str, request: httpx.Request, path: str) -> None:
    """The request as the vendor would judge it; `path` is the vendor's own."""
    _contract(name).check_request(request, path, HOSTS[name])


def check_response(name: str, response: httpx.Response, path: str) -> None:
    """The answer as the contract promises it. Of too many requests SendGrid's does not speak, and Twilio's of no error at all."""
    if response.status_code not in (429, 502, 503, 504) and not (name == TWILIO and response.is_error):
        _contract(name).check_response(response, path, HOSTS[name])


@cache
def _contract(name: str) -> spec.Contract:
    # Read as JSON: the texts have escapes that are none in YAML.
    document = json.loads((spec.directory() / name).read_text())
    if name == SENDGRID:
        body = document["components"]["requestBodies"]["PostMailSend"]["content"]["application/json"]["schema"]
        # A text by mistake: SendGrid's own libraries send an object.
        body["properties"]["custom_args"] = {"type": "object"}
        _say_null_in_the_words_of_3_1(document)
    else:
        listed = document["paths"]["/2010-04-01/Accounts/{AccountSid}/Messages.json"]["get"]["parameters"]
        for parameter in listed:
            # A day will do, as the description of these parameters says.
            if parameter["name"].startswith("DateSent"):
                parameter["schema"].pop("format", None)
    return spec.Contract(OpenAPI.from_dict(document))


def _say_null_in_the_words_of_3_1(node: Any) -> None:
    """The document calls itself OpenAPI 3.1, which knows no `nullable`, and uses it all the same."""
    if isinstance(node, list):
        for item in node:
            _say_null_in_the_words_of_3_1(item)
    if isinstance(node, dict):
        if node.pop("nullable", False) is True:
            node["type"] = [node["type"], "null"]
        for value in node.values():
            _say_null_in_the_words_of_3_1(value)
