"""The ports: what the house asks of a vendor, in our own words. One file per vendor implements one of them.

Creates (`hold`, `confirm`, `book`, `authorise`, `capture`, `refund`) return outcomes; they raise VendorUnavailable only when
the call had no effect for certain. Reads and undos raise VendorUnavailable, OutcomeUnclear or VendorContractBroken, all of
which may be tried again.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Generic, Literal, Protocol, TypeVar, runtime_checkable

from gateways.flight_ports import FlightStatusSource
from gateways.notice_ports import NoticeSender
from gateways.traffic import Traffic
from schema.model import Message
from schema.money import Money
from schema.notifications import Channel
from schema.offers import FoundOffer, Kind, SearchRequest, Version
from schema.outcomes import Capabilities, Outcome, PaymentOutcome
from schema.travellers import Traveller

SupplierState = dict[str, object]
"""What only the supplier understands (tokens, links, passenger ids): kept as it came, never shown, never in a history."""


class PriceCheck(Message):
    """Result of re-pricing. `price` None: it can no longer be had. `supplier_state` replaces the stored one."""

    price: Money | None
    expires_at: datetime | None = None
    supplier_state: SupplierState | None = None
    reason: str | None = None
    version: Version | None = None
    """What is sold now; other `facts` than those of the offer mean that the traveller has seen something else."""


class ReservationRequest(Message):
    """Everything a supplier needs to hold or book one item."""

    reference: str
    """Ours, at most 28 characters; see schema/references.py."""
    price: Money
    supplier_state: SupplierState
    travellers: list[Traveller]
    correlation_id: str


class Reservation(Message):
    """What a supplier has under our reference."""

    provider_reference: str
    status: Literal["held", "confirmed", "cancelled", "pending", "failed"]
    price: Money | None = None
    expires_at: datetime | None = None
    record_locator: str | None = None
    supplier_state: SupplierState = {}
    """What is needed to confirm or cancel it: order ids, links with tokens."""


class LookUp(Message):
    """How to find a reservation: by the vendor's id if we have it, else by our reference and who travels."""

    reference: str
    provider_reference: str | None
    supplier_state: SupplierState
    travellers: list[Traveller]
    since: datetime
    """When our first attempt was written: nothing older can be ours."""
    correlation_id: str


class CancellationFee(Message):
    """What the supplier keeps if the reservation is cancelled now."""

    fee: Money


class Supplier(Protocol):
    """A supplier of one kind of item. Its registry entry is `code`, e.g. `duffel`."""

    @property
    def code(self) -> str: ...
    @property
    def vendor(self) -> str:
        """Whose host it calls, and so whose quota and circuit it shares; `VendorHttp.vendor`."""
        ...

    @property
    def kind(self) -> Kind: ...
    @property
    def capabilities(self) -> Capabilities: ...

    async def search(self, request: SearchRequest, correlation_id: str) -> list[FoundOffer]:
        """Offers, cheapest first; `offer.offer_id` is left empty: ids are ours to give."""
        ...

    async def check(self, correlation_id: str) -> None:
        """One harmless call, to see whether the vendor answers and knows us. Raises CredentialsRefused, VendorUnavailable,
        OutcomeUnclear or VendorContractBroken."""
        ...

    async def price(self, supplier_state: SupplierState, correlation_id: str) -> PriceCheck: ...

    async def hold(self, request: ReservationRequest) -> tuple[Outcome, SupplierState]:
        """Reserve without paying. The state is what confirm, find and cancel need later."""
        ...

    async def confirm(self, request: ReservationRequest) -> tuple[Outcome, SupplierState]:
        """Pay for, or resume, what `hold` reserved; `request.supplier_state` is what `hold` or `find` returned."""
        ...

    async def book(self, request: ReservationRequest) -> tuple[Outcome, SupplierState]:
        """Reserve and confirm in one step."""
        ...

    async def find(self, look_up: LookUp) -> Reservation | None:
        """What exists under our reference, cancelled ones included; None proves nothing before `lookup_lag_s` is over.
        Raises NotImplementedError where `lookup_by_reference` is false and there is no provider_reference."""
        ...

    async def cancellation_fee(self, reservation: Reservation, correlation_id: str) -> CancellationFee: ...

    async def cancel(self, reservation: Reservation, correlation_id: str) -> CancellationFee:
        """Drop a hold or cancel a booking; returns what the supplier keeps. Cancelling what is cancelled is no error."""
        ...


class PaymentRequest(Message):
    """One effect at a payment provider."""

    idempotency_key: str
    """`{booking}:{step}:{generation}`, stored and sent byte for byte."""
    booking_id: str
    payment_id: str
    amount: Money
    payment_method: str | None = None
    provider_reference: str | None = None
    description: str = ""
    correlation_id: str = ""


class ProviderPayment(Message):
    """How a payment stands in the provider's own books."""

    provider_reference: str
    status: Literal[
        "created", "action_required", "approved", "processing", "authorised", "captured", "voided", "failed"
    ]
    """`approved`: the customer has agreed and nothing is reserved yet; `authorise` again, with the same key."""
    authorised: Money
    captured: Money
    refunded: Money
    expires_at: datetime | None = None
    client_secret: str | None = None
    """For the client's 3-D Secure; handed through by the API, never stored in a history."""
    approval_url: str | None = None
    """Where the customer approves the payment at the provider; handed through like `client_secret`."""
    failure: str | None = None


class ProviderRefund(Message):
    provider_reference: str
    status: Literal["pending", "succeeded", "failed"]
    amount: Money
    failure: str | None = None


class PaymentEvent(Message):
    """A webhook, checked: which object of ours it speaks of."""

    event_id: str
    type: str
    payment_id: str | None
    booking_id: str | None


class PaymentProvider(Protocol):
    """A payment provider."""

    @property
    def code(self) -> str: ...
    @property
    def capabilities(self) -> Capabilities: ...

    async def authorise(self, request: PaymentRequest) -> PaymentOutcome:
        """Reserve the money (manual capture). Rejected: declined, with a customer-safe message."""
        ...

    async def capture(self, request: PaymentRequest) -> Outcome:
        """Take `amount` of what is reserved, once; the rest is released."""
        ...

    async def reauthorise(self, request: PaymentRequest) -> Outcome:
        """Extend what is reserved, where the provider can; Rejected(code="cannot_reauthorise") otherwise."""
        ...

    async def void(self, request: PaymentRequest) -> Outcome:
        """Let go of what is reserved. Confirmed also if it was voided already; Rejected(code="already_captured") if taken."""
        ...

    async def refund(self, request: PaymentRequest) -> tuple[ProviderRefund | None, Outcome]:
        """Give `amount` back. Confirmed means accepted, which is not yet succeeded: read the refund's status."""
        ...

    async def get(self, provider_reference: str, correlation_id: str) -> ProviderPayment: ...

    async def get_refund(self, provider_reference: str, correlation_id: str) -> ProviderRefund: ...

    async def find(self, payment_id: str, since: datetime, correlation_id: str) -> ProviderPayment | None:
        """By our payment id, which the provider keeps as metadata. Raises NotImplementedError where `lookup_by_reference` is
        false: there `authorise` is called again with the same key."""
        ...

    async def find_refund(
        self, payment_reference: str, idempotency_key: str, correlation_id: str
    ) -> ProviderRefund | None:
        """By our key, which the provider keeps as the refund's metadata: what a lost answer did."""
        ...

    async def read_webhook(self, headers: Mapping[str, str], body: bytes) -> PaymentEvent:
        """Raises schema.errors.NotFound where no webhooks are taken, Malformed with code `invalid_signature` if it is not the
        provider's, UnreadableEvent if it is the provider's and no event; and as a read does where the provider is asked. One that
        has to be parsed before the provider can be asked may be Malformed with code `malformed_json`."""
        ...


class SupplierNotice(Message):
    """A supplier's webhook, checked. It says what to look at, not how that is now."""

    event_id: str
    type: str
    subject: str | None
    """The supplier's id of what changed; None where nothing that we show follows from it."""


class Notifying(Protocol):
    """A supplier that tells of changes by itself."""

    @property
    def code(self) -> str: ...
    @property
    def signature_header(self) -> str: ...

    def parse_notice(self, body: bytes, signature: str) -> SupplierNotice:
        """Raises schema.errors.NotFound without a secret, Malformed with code `invalid_signature` if it is not the supplier's, and
        UnreadableEvent if it is the supplier's and no event."""
        ...

    async def touched(self, subject: str, correlation_id: str) -> list[str]:
        """Asks the supplier what became of it. Offers that have one of these in their item key, between its bars, are not to be had
        as they were: a flight (`FlightSegment.key()`), or the whole key where it has no bars. None where the supplier does not
        know the subject. Raises as the reads of `Supplier` do."""
        ...


class ListedPayment(Message):
    """One line of a provider's own list of payments, with what it kept of ours."""

    booking_id: str | None
    payment_id: str | None
    payment: ProviderPayment


class ListedRefund(Message):
    """One line of a provider's own list of refunds. `key` None: it was not made by us."""

    payment_reference: str
    key: str | None
    refund: ProviderRefund


class ListedDispute(Message):
    """A customer's bank asks for its money back."""

    provider_reference: str
    payment_reference: str | None
    amount: Money
    status: str
    """The provider's own word."""


class ListedReservation(Message):
    """One line of a supplier's own list. `reference` None: it does not carry ours."""

    reference: str | None
    reservation: Reservation


Line = TypeVar("Line")


class ListPage(Message, Generic[Line]):
    """One page of a list; `cursor` None: there are no more."""

    lines: list[Line]
    cursor: str | None


@runtime_checkable
class ListsRefunds(Protocol):
    """A payment provider that shows every refund, also those made at its own pages. The call reads one page of what was made since
    then, newest first; `of_payment` is the provider's id of one payment, of which all are shown. Raises as a read does."""

    async def list_refunds(
        self, since: datetime, cursor: str | None, correlation_id: str, *, of_payment: str | None = None
    ) -> ListPage[ListedRefund]: ...


@runtime_checkable
class ListsPayments(ListsRefunds, Protocol):
    """One that shows all that it has, also what we never heard of."""

    async def list_payments(
        self, since: datetime, cursor: str | None, correlation_id: str
    ) -> ListPage[ListedPayment]: ...

    async def list_disputes(
        self, since: datetime, cursor: str | None, correlation_id: str, *, of_payment: str | None = None
    ) -> ListPage[ListedDispute]: ...


@runtime_checkable
class ListsReservations(Protocol):
    """A supplier that shows what was made since then, newest first, page by page. Raises as a read does."""

    async def list_reservations(
        self, since: datetime, cursor: str | None, correlation_id: str
    ) -> ListPage[ListedReservation]: ...


class Vendors(Protocol):
    """The registry: every vendor of this process by code."""

    def supplier(self, code: str) -> Supplier:
        """Raises KeyError for an unknown code."""
        ...

    def suppliers(self, kind: Kind | None = None) -> list[Supplier]: ...

    def payments(self, code: str) -> PaymentProvider: ...

    def notifying(self, code: str) -> Notifying:
        """Raises KeyError for a supplier that tells nothing by itself."""
        ...

    def notice_sender(self, channel: Channel) -> NoticeSender | None:
        """None where the settings have no credentials for any."""
        ...

    def flight_status(self) -> FlightStatusSource | None:
        """None where nobody can be asked: then flights are only heard of by webhook."""
        ...

    @property
    def traffic(self) -> Traffic: ...

    async def aclose(self) -> None: ...
