"""The OpenAPI document: valid, complete in its refusals, and one that a fuzzer cannot falsify."""

import json

import pytest
from fastapi import FastAPI
from openapi_spec_validator import validate

from schema.errors import REFUSALS


@pytest.fixture
def document(app: FastAPI) -> dict:
    return json.loads(json.dumps(app.openapi()))


def _operations(document: dict):
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield path, method, operation


def test_it_is_valid(document: dict) -> None:
    validate(document)


def test_every_refusal_is_documented_under_its_own_status(document: dict) -> None:
    told = set()
    for _, _, operation in _operations(document):
        for status, response in operation["responses"].items():
            for code in response.get("content", {}).get("application/problem+json", {}).get("examples", {}):
                assert REFUSALS[code].status == int(status)
                told.add(code)
    why_a_booking_failed = {
        *("sold_out", "price_changed", "card_declined", "payment_not_completed", "hold_expired"),
        *("vendor_rejected", "cancelled_by_traveller", "consent_timeout", "outcome_not_found_out"),
        *("authorisation_expired", "currency_not_supported", "already_captured", "already_refunded"),
        *("cannot_reauthorise", "workflow_lost", "rebooked"),
    }
    why_a_notice_failed = {"address_unusable", "opted_out", "device_gone"}
    of_the_router = {"method_not_allowed"}
    of_the_live_feed = {"too_many_connections", "websocket_required"}
    never_of_a_request = why_a_booking_failed | why_a_notice_failed | of_the_router | of_the_live_feed
    assert set(REFUSALS) - told == never_of_a_request


def test_every_route_is_described_and_guarded(document: dict) -> None:
    for path, method, operation in _operations(document):
        assert operation.get("description"), (path, method)
        open_door = path.startswith(("/health/", "/v1/webhooks/"))
        assert bool(operation.get("security")) != open_door, (path, method)


def test_no_route_answers_in_fastapis_own_shape(document: dict) -> None:
    assert "HTTPValidationError" not in json.dumps(document)
