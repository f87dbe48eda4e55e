"""What clients are answered about their webhook endpoints. A secret is in one answer only: to the request that made it."""

from datetime import datetime

from schema.endpoints import DisabledReason
from schema.model import Message
from store.deliveries import StoredDelivery
from store.endpoints import StoredEndpoint


class Disabled(Message):
    """`webhook_endpoint.disabled`, which the client's other endpoints are told."""

    reason: DisabledReason
    since: datetime


class EndpointView(Message):
    endpoint_id: str
    url: str
    event_types: list[str]
    description: str | None
    enabled: bool
    disabled: Disabled | None
    failing_since: datetime | None
    """Since then no delivery has succeeded."""
    previous_secret_until: datetime | None
    """After a rotation: until then the old secret signs beside the new one."""
    created_at: datetime

    @classmethod
    def of(cls, endpoint: StoredEndpoint) -> "EndpointView":
        disabled = None
        if endpoint.disabled_at is not None and endpoint.disabled_reason is not None:
            disabled = Disabled(reason=endpoint.disabled_reason, since=endpoint.disabled_at)
        return cls(
            endpoint_id=endpoint.endpoint_id,
            url=endpoint.url,
            event_types=endpoint.event_types,
            description=endpoint.description,
            enabled=disabled is None,
            disabled=disabled,
            failing_since=endpoint.failing_since,
            previous_secret_until=endpoint.previous_secret_until,
            created_at=endpoint.created_at,
        )


class EndpointSecret(EndpointView):
    """An endpoint with the secret that its deliveries are signed with; keep it, it is not shown again."""

    secret: str

    @classmethod
    def of(cls, endpoint: StoredEndpoint) -> "EndpointSecret":
        shown = EndpointView.of(endpoint)
        return cls(**dict(shown), secret=endpoint.secret.get_secret_value())


class EndpointList(Message):
    endpoints: list[EndpointView]


class DeliveryList(Message):
    deliveries: list[StoredDelivery]
