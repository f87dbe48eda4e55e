"""The one tree of errors: code, HTTP status, whether trying again helps, and what a client should do.

    TravelHubError
    ├── ClientError                  the request cannot be done as asked; nothing was started or written
    │   ├── InvalidRequest           400/422  a field is wrong; `field` names it
    │   ├── Unauthenticated          401
    │   ├── Forbidden                403      the token lacks a scope
    │   ├── NotFound                 404      no such thing, or somebody else's
    │   └── Conflict                 409      not in the state the request needs
    ├── ServiceUnavailable           503      a part of ours is away; retry with the same key
    ├── VendorUnavailable            -        the vendor did nothing; the same call may be tried again
    │   ├── CircuitOpen              -        not sent: it has failed too often of late
    │   ├── RateLimited              -        its quota is used up for now
    │   └── CredentialsRefused       -        it does not know our credentials
    ├── VendorContractBroken         -        the vendor answered something its contract does not allow
    └── InvariantBroken              500      our books contradict themselves; never caught, always seen

The API renders them as RFC 9457 problems. Activities raise them as ApplicationError with the code as its type. Retry policies
and the saga read `retryable`.
"""

from dataclasses import dataclass
from typing import ClassVar


class TravelHubError(Exception):
    """Root of the tree. `code` is stable and documented; the message is for people."""

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False
    advice: ClassVar[str] = "Tell us the correlation id."

    def __init__(self, message: str, *, code: str | None = None, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.problem_code = code or self.code
        self.field = field


class ClientError(TravelHubError):
    code = "bad_request"
    status = 400
    advice = "Change the request; sending it again as it is will fail again."


class InvalidRequest(ClientError):
    code = "invalid_request"
    status = 422


class Malformed(ClientError):
    code = "malformed_request"
    status = 400


class UnreadableEvent(Malformed):
    """A webhook that its vendor has signed, and that is no event as we know them. `event_id` as far as it can be read."""

    code = "malformed_json"

    def __init__(self, event_id: str | None) -> None:
        super().__init__("the webhook's body is not an event")
        self.event_id = event_id


class Unauthenticated(ClientError):
    code = "unauthenticated"
    status = 401
    advice = "Send a valid bearer token."


class Forbidden(ClientError):
    code = "missing_scope"
    status = 403
    advice = "Ask for a token with the scope that is named."


class NotFound(ClientError):
    code = "not_found"
    status = 404


class Conflict(ClientError):
    code = "conflict"
    status = 409
    advice = "Read the current state, then decide."


class ServiceUnavailable(TravelHubError):
    code = "service_unavailable"
    status = 503
    retryable = True
    advice = "Try again after Retry-After with the same Idempotency-Key."

    def __init__(self, message: str, *, code: str | None = None, retry_after_s: float = 2) -> None:
        super().__init__(message, code=code)
        self.retry_after_s = retry_after_s


class VendorUnavailable(TravelHubError):
    """The call had no effect, for certain (never connected, 429, or a vendor's own word), and may be made again."""

    code = "vendor_unavailable"
    status = 503
    retryable = True

    def __init__(self, vendor: str, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(f"{vendor}: {message}")
        self.vendor = vendor
        self.retry_after_s = retry_after_s


class CircuitOpen(VendorUnavailable):
    """Not sent: the vendor has failed so often that it is left alone for a while."""

    code = "vendor_circuit_open"


class RateLimited(VendorUnavailable):
    """Not sent, or answered 429: the vendor's quota is used up for now."""

    code = "vendor_rate_limited"


class CredentialsRefused(VendorUnavailable):
    """The vendor does not know us: our key, token or signature is wrong."""

    code = "vendor_credentials_refused"


class OutcomeUnclear(TravelHubError):
    """The call may have had an effect; raised by reads and undos, whose next try finds out. Creates return `Unknown` instead."""

    code = "outcome_unclear"
    status = 503
    retryable = True


class VendorContractBroken(TravelHubError):
    """An answer that the vendor's contract does not allow; whether there was an effect is unknown."""

    code = "vendor_contract_broken"
    status = 502
    retryable = True


class InvariantBroken(TravelHubError):
    code = "invariant_broken"
    status = 500


@dataclass(frozen=True)
class Refusal:
    """One documented reason for which a client's request or booking is refused."""

    code: str
    status: int
    title: str


REFUSALS: dict[str, Refusal] = {
    refusal.code: refusal
    for refusal in (
        Refusal("invalid_request", 422, "A field is missing or wrong"),
        Refusal("unknown_field", 422, "A field that does not exist was sent"),
        Refusal("unknown_currency", 422, "The currency is not an ISO 4217 code"),
        Refusal("amount_out_of_range", 422, "The amount is negative, zero or too large"),
        Refusal("date_in_past", 422, "The date has passed"),
        Refusal("return_before_departure", 422, "The return is before the departure"),
        Refusal("return_date_missing", 422, "Hotels and cars need a return date; only flights can be one way"),
        Refusal("too_many_travellers", 422, "There are more travellers than seats in an offer, or fewer"),
        Refusal("unknown_offer", 422, "No such offer, or somebody else's"),
        Refusal("offer_expired", 422, "The offer has expired; search again"),
        Refusal("offer_stale", 409, "The supplier has changed what was offered, or sold the last of it; search again"),
        Refusal("unknown_filter", 422, "No such filter"),
        Refusal("booking_unavailable", 503, "Booking is temporarily unavailable; searches show what was found last"),
        Refusal("duplicate_offer", 422, "An offer is in the trip twice"),
        Refusal("mixed_currencies", 422, "The offers of one trip must be in one currency"),
        Refusal("unknown_time_zone", 422, "No such time zone in the IANA database"),
        Refusal("too_many_devices", 409, "There are as many devices as a client may have"),
        Refusal("total_mismatch", 422, "The expected total is not the sum of the offers"),
        Refusal("unknown_place", 422, "No airport and no city has this IATA code"),
        Refusal("payment_method_unavailable", 422, "Payments by this method are not taken here"),
        Refusal("idempotency_key_missing", 400, "The Idempotency-Key header is required"),
        Refusal("idempotency_key_malformed", 400, "The Idempotency-Key is not 8 to 255 printable characters"),
        Refusal("idempotency_key_reused", 422, "The key was used with another body"),
        Refusal("idempotency_key_in_flight", 409, "A request with this key is being worked on"),
        Refusal("malformed_json", 400, "The body is not JSON"),
        Refusal("malformed_request", 400, "The request cannot be read"),
        Refusal("malformed_id", 404, "That is not an id"),
        Refusal("malformed_cursor", 400, "The cursor is not one of ours"),
        Refusal("body_too_large", 413, "The body is over 256 KiB"),
        Refusal("unsupported_media_type", 415, "The body must be application/json"),
        Refusal("unauthenticated", 401, "No valid bearer token"),
        Refusal("missing_scope", 403, "The token lacks a scope"),
        Refusal("not_found", 404, "Not found"),
        Refusal("method_not_allowed", 405, "The path does not know this method"),
        Refusal("conflict", 409, "The booking is not in the state that the request needs"),
        Refusal("no_price_to_accept", 409, "The booking is not waiting for a price to be accepted"),
        Refusal("price_moved_again", 409, "The price is not the one that was accepted"),
        Refusal("not_cancellable", 409, "The booking cannot be cancelled in its state"),
        Refusal("quote_invalid", 409, "The cancellation token is unknown, expired or for an older state"),
        Refusal("case_not_open", 409, "The review case is not open"),
        Refusal("effect_not_named", 422, "The case has several effects, or not this one: name the one that is settled"),
        Refusal("second_person_needed", 409, "Your proposal to write this off waits for another operator"),
        Refusal("dead_letter_settled", 409, "The dead letter has been dealt with"),
        Refusal(
            "no_choice",
            409,
            "There is nothing to choose: it was decided, has run out, or a newer change has taken its place",
        ),
        Refusal("no_such_alternative", 422, "The disruption has no alternative of this number"),
        Refusal("invalid_signature", 400, "The webhook's signature does not match"),
        Refusal("unsafe_url", 422, "The address is not https, or not one on the public internet"),
        Refusal("too_many_endpoints", 409, "There are as many webhook endpoints as a client may have"),
        Refusal("endpoint_disabled", 409, "The webhook endpoint is disabled; enable it first"),
        Refusal("delivery_pending", 409, "The delivery has not been given up; it will be tried again by itself"),
        Refusal("secret_replaced", 409, "The secret that this request made has been replaced since"),
        Refusal("unknown_sequence", 409, "The number is above that of your last message"),
        Refusal("too_many_connections", 503, "There are as many live connections as a client may have"),
        Refusal("websocket_required", 426, "The live feed is a WebSocket"),
        Refusal("service_unavailable", 503, "A part of the service is away"),
        Refusal("too_busy", 503, "Too many bookings are being worked on; try again soon"),
        Refusal("internal_error", 500, "Something on our side broke"),
        # Why a booking failed; never an HTTP status of its own, but documented in the same place.
        Refusal("sold_out", 409, "The supplier has nothing left"),
        Refusal("price_changed", 409, "The price rose above what was consented to"),
        Refusal("card_declined", 402, "The card was declined"),
        Refusal("authorisation_expired", 409, "The reserved money was let go of before it could be taken"),
        Refusal("currency_not_supported", 409, "The payment provider does not take this currency"),
        Refusal("already_captured", 409, "The money was taken already"),
        Refusal("already_refunded", 409, "The money was given back already"),
        Refusal("cannot_reauthorise", 409, "The provider does not extend what is reserved"),
        Refusal("payment_not_completed", 402, "The customer did not finish the payment in time"),
        Refusal("hold_expired", 409, "The supplier's hold ended before the trip was complete"),
        Refusal("vendor_unavailable", 503, "The supplier could not be reached"),
        Refusal("vendor_rejected", 409, "The supplier refused"),
        Refusal("cancelled_by_traveller", 409, "The traveller cancelled"),
        Refusal("rebooked", 409, "Another flight was booked in place of this one"),
        Refusal("workflow_lost", 409, "The booking's own process was lost; what it had done was undone"),
        Refusal("consent_timeout", 409, "The new price was not accepted in time"),
        Refusal("outcome_not_found_out", 409, "It could not be found out in time whether a reservation exists"),
        # Why a message does not reach a traveller; never an HTTP status either.
        Refusal("address_unusable", 409, "Nothing can be delivered to this address or number"),
        Refusal("device_gone", 409, "The app is no longer on this device"),
        Refusal("opted_out", 409, "The traveller has told the carrier to stop such messages"),
    )
}
