"""Typed settings from `TRAVELHUB_*` environment variables; every fault is told at start, all at once; secrets are masked (M-7)."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, HttpUrl, PostgresDsn, RedisDsn, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from schema.bookings import NewSagaPolicy
from schema.disruptions import DisruptionPolicy
from schema.flights import FlightPolicy
from schema.model import Message
from schema.money import CurrencyCode
from schema.notifications import RetryLadder
from schema.reconciliation import ReconciliationPolicy
from schema.searches import SearchPolicy

ENV_PREFIX = "TRAVELHUB_"


class SettingsError(Exception):
    """Some settings are missing or wrong; the message names each of them and never shows a value."""


class OutboundSettings(Message):
    """What bounds our calls to each vendor, all processes together; vendors by their code."""

    quota_per_minute: dict[str, Annotated[int, Field(ge=1)]] = {
        "amadeus": 500,
        "sendgrid": 1000,
        "twilio": 300,
        "fcm": 3000,
    }
    """A vendor that is not named has no quota of ours; setting it replaces the whole table. Those of the three who take messages are
    ours, not theirs: enough for the passengers of one flight within two minutes, and so little that a job that runs wild is seen
    before an account is suspended for spam or its money is gone. What is not urgent leaves a fifth of them to what is."""
    circuit_min_calls: Annotated[int, Field(ge=1)] = 20
    """Fewer calls in the last minute prove nothing."""
    circuit_failure_share: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Above this share of failed calls the vendor is left alone for `circuit_open_s`."""
    circuit_open_s: Annotated[float, Field(gt=0)] = 30
    circuit_limited_open_s: Annotated[float, Field(gt=0)] = 300
    """For how long it is left alone when most of its answers were 429."""


class RelaySettings(Message):
    """How events are told: to the stream in Valkey, and to the endpoints that clients have subscribed."""

    poll_s: Annotated[float, Field(gt=0)] = 0.1
    """Between looks for new events; about half of it is an event's usual delay."""
    batch: Annotated[int, Field(ge=1, le=1000)] = 200
    max_silence_s: Annotated[float, Field(ge=1)] = 5
    """A relay that PostgreSQL has not heard of for so long loses its turn to another."""
    stream_length: Annotated[int, Field(ge=1000)] = 100_000
    """About so many events are kept in the stream; the books keep them all."""
    allow_private_targets: bool = False
    """Also endpoints on private and loopback addresses, and without TLS: for one machine only."""
    max_endpoints: Annotated[int, Field(ge=1, le=100)] = 10
    """Of one client."""
    timeout_s: Annotated[float, Field(gt=0)] = 10
    """Of one attempt to deliver, look-up of the address to status line."""
    concurrency: Annotated[int, Field(ge=1)] = 64
    endpoint_concurrency: Annotated[int, Field(ge=1)] = 8
    """Deliveries under way at once: in all, and to one endpoint."""
    retry_delays_s: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1)] = [5, 300, 1800, 7200, 18000]
    """Before the second attempt, the third and so on; the last one holds from then on."""
    give_up_after_s: Annotated[float, Field(gt=0)] = 86_400
    """After its first attempt a delivery is tried for so long. An endpoint where all have failed for so long is disabled."""
    deliveries_kept_s: Annotated[float, Field(gt=0)] = 30 * 86_400
    """A delivery that is done or given up can be seen, and asked for again, for so long after its last attempt."""


class LiveSettings(Message):
    """The live feed, in each API process."""

    max_connections: Annotated[int, Field(ge=1)] = 5000
    max_connections_per_client: Annotated[int, Field(ge=1)] = 100
    look_every_s: Annotated[float, Field(gt=0)] = 5
    """Between looks into the books: so long a message may stay unseen that nobody told, and a disabled token may still listen."""
    connect_within_s: Annotated[float, Field(gt=0)] = 10
    """From the opened connection to a valid token."""
    slow_after_s: Annotated[float, Field(gt=0)] = 15
    """A client that has read nothing for so long is disconnected; it gets the rest when it comes back."""
    drain_notice_s: Annotated[float, Field(ge=0)] = 30
    """Before a process that is asked to stop does so, its connected clients are told to go elsewhere."""


class DeskSettings(Message):
    """What operators may decide alone."""

    write_off_two_person_above_minor: dict[CurrencyCode, Annotated[int, Field(ge=0)]] = {
        "EUR": 50_000,
        "GBP": 50_000,
        "USD": 50_000,
    }
    """Minor units of each currency; to write off more needs a second operator, and so does any amount of a currency that is not
    named, and an amount that nobody knows."""
    write_off_proposal_ttl_s: Annotated[float, Field(gt=0)] = 24 * 3600


_OPTIONAL_CREDENTIALS = (
    *("duffel_webhook_secret", "amadeus_client_id", "amadeus_client_secret", "liteapi_api_key"),
    *("avis_client_id", "avis_client_secret", "paypal_client_id", "paypal_client_secret", "paypal_webhook_id"),
    *("sendgrid_api_key", "sendgrid_webhook_public_key", "twilio_account_sid", "twilio_auth_token", "twilio_from"),
    *("fcm_project_id", "fcm_service_account", "link_secret"),
)


class Settings(BaseSettings):
    """Everything a TravelHub process needs to know of its surroundings. Temporal's own connection can also come from
    `temporalio.envconfig` (`TEMPORAL_*`, profiles): set `temporal_address` to nothing and it is used."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, env_nested_delimiter="__", extra="ignore")

    environment: Literal["local", "test", "production"] = "local"
    log_format: Literal["console", "json"] = "console"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    database_url: PostgresDsn
    """postgresql+psycopg://user:password@host/database; a Unix socket goes into `?host=`."""
    database_pool_size: Annotated[int, Field(ge=1, le=200)] = 10
    valkey_url: RedisDsn
    temporal_address: str | None = "127.0.0.1:7233"
    temporal_namespace: str = "default"
    temporal_ui_url: HttpUrl = HttpUrl("http://127.0.0.1:8233")

    api_host: str = "127.0.0.1"
    api_port: Annotated[int, Field(ge=0, le=65535)] = 8000
    worker_sandboxed: bool = True
    """Run workflow code in Temporal's sandbox. Tests and CI always do; production may trade it for speed."""
    worker_max_activities: Annotated[int, Field(ge=1)] = 100
    worker_max_workflow_tasks: Annotated[int, Field(ge=2)] = 20
    worker_pollers: Annotated[int, Field(ge=2)] = 20
    worker_sticky_timeout_s: Annotated[float, Field(gt=0)] = 5
    """How long Temporal waits for the worker that has a workflow in its cache, before another may replay it."""
    sagas_in_flight: Annotated[int, Field(ge=1)] = 500
    """Admission: more unfinished bookings than this are answered 503 with Retry-After instead of piling up."""

    duffel_url: HttpUrl = HttpUrl("https://api.duffel.com")
    duffel_token: SecretStr
    duffel_webhook_secret: SecretStr | None = None
    """Without it, Duffel's webhooks are refused."""
    rapid_url: HttpUrl = HttpUrl("https://test.ean.com")
    rapid_api_key: SecretStr
    rapid_secret: SecretStr
    rapid_test_header: str | None = "standard"
    """On the production host a missing Test header books for real; empty it only there, on purpose."""
    rapid_customer_ip: str = "127.0.0.1"
    amadeus_url: HttpUrl = HttpUrl("https://test.api.amadeus.com")
    """The self-service hosts have closed; an enterprise contract names its own host."""
    amadeus_client_id: str | None = None
    """A supplier without credentials is not offered at all."""
    amadeus_client_secret: SecretStr | None = None
    liteapi_url: HttpUrl = HttpUrl("https://api.liteapi.travel/v3.0")
    liteapi_booking_url: HttpUrl = HttpUrl("https://book.liteapi.travel/v3.0")
    liteapi_api_key: SecretStr | None = None
    avis_url: HttpUrl = HttpUrl("https://stage.abgapiservices.com")
    avis_client_id: str | None = None
    avis_client_secret: SecretStr | None = None
    stripe_url: HttpUrl = HttpUrl("https://api.stripe.com")
    stripe_api_key: SecretStr
    stripe_webhook_secret: SecretStr
    paypal_url: HttpUrl = HttpUrl("https://api-m.sandbox.paypal.com")
    paypal_client_id: str | None = None
    """Without credentials, PayPal is not offered."""
    paypal_client_secret: SecretStr | None = None
    paypal_webhook_id: str | None = None
    """PayPal's id of our subscription; without it, its webhooks are refused."""
    paypal_return_url: HttpUrl = HttpUrl("http://127.0.0.1:8000/")
    """Where the payer comes back to, whether the payment was approved or not."""
    sendgrid_url: HttpUrl = HttpUrl("https://api.sendgrid.com")
    sendgrid_api_key: SecretStr | None = None
    """A channel without credentials is not used; the same for the next two vendors."""
    sendgrid_webhook_public_key: str | None = None
    """Base64 of the DER that SendGrid shows; without it, its events are refused."""
    sendgrid_from: str = "trips@travelhub.example"
    twilio_url: HttpUrl = HttpUrl("https://api.twilio.com")
    twilio_account_sid: str | None = None
    twilio_auth_token: SecretStr | None = None
    twilio_from: str | None = None
    """The number that messages come from, E.164."""
    fcm_url: HttpUrl = HttpUrl("https://fcm.googleapis.com")
    fcm_token_url: HttpUrl = HttpUrl("https://oauth2.googleapis.com/token")
    fcm_project_id: str | None = None
    fcm_service_account: SecretStr | None = None
    """The JSON of a service account's key, as Google hands it out."""
    public_url: HttpUrl = HttpUrl("http://127.0.0.1:8000/")
    """Where vendors' receipts and travellers' links reach this API from outside."""
    link_secret: SecretStr | None = None
    """Signs the links of trip pages; without it there are no trip pages."""
    sandbox_url: HttpUrl | None = None
    """Set on the embedded stack only: where the vendor sandbox and its books are."""
    vendor_timeout_s: Annotated[float, Field(gt=0)] = 90
    """Total deadline of one booking call, connect to last byte."""
    vendor_read_timeout_s: Annotated[float, Field(gt=0)] = 5
    """Total deadline of one search or price check."""
    vendor_clock_scale: Annotated[float, Field(gt=0)] = 1.0
    """Multiplies how long a vendor is believed to lag behind its own effects; below 1 only where their clocks are compressed too."""

    outbound: OutboundSettings = OutboundSettings()
    desk: DeskSettings = DeskSettings()
    relay: RelaySettings = RelaySettings()
    live: LiveSettings = LiveSettings()
    saga: NewSagaPolicy = NewSagaPolicy()
    search: SearchPolicy = SearchPolicy()
    reconciliation: ReconciliationPolicy = ReconciliationPolicy()
    flights: FlightPolicy = FlightPolicy()
    disruption: DisruptionPolicy = DisruptionPolicy()
    notification: RetryLadder = RetryLadder()
    price_tolerance_max_percent: Annotated[int, Field(ge=0, le=5)] = 5
    offer_ttl_s: Annotated[float, Field(gt=0)] = 1800
    cancellation_quote_ttl_s: Annotated[float, Field(gt=0)] = 900

    @field_validator(*_OPTIONAL_CREDENTIALS, mode="before")
    @classmethod
    def _empty_is_absent(cls, value: object) -> object:
        """An empty secret would let everybody in, or be sent."""
        return value or None

    @classmethod
    def load(cls) -> "Settings":
        """From the environment; raises SettingsError that names every variable that is missing or wrong."""
        try:
            return cls()  # pyright: ignore[reportCallIssue]  # the required fields come from the environment
        except ValidationError as error:
            faults = [
                f"  {variable_of('__'.join(str(part) for part in fault['loc']))}: {fault['msg']}"
                for fault in error.errors(include_input=False, include_url=False)
            ]
            raise SettingsError("these settings are missing or wrong:\n" + "\n".join(faults)) from None


def variable_of(setting: str) -> str:
    """The environment variable of a setting."""
    return f"{ENV_PREFIX}{setting.upper()}"


def data_directory() -> Path:
    """Where the embedded stack keeps its data: `.travelhub/` in the current directory."""
    return Path.cwd() / ".travelhub"
