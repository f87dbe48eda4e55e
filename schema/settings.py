"""Typed settings from `TRAVELHUB_*` environment variables; every fault is told at start, all at once; secrets are masked (M-7)."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, HttpUrl, PostgresDsn, RedisDsn, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from schema.bookings import SagaPolicy


class SettingsError(Exception):
    """Some settings are missing or wrong; the message names each of them and never shows a value."""


class Settings(BaseSettings):
    """Everything a TravelHub process needs to know of its surroundings. Temporal's own connection can also come from
    `temporalio.envconfig` (`TEMPORAL_*`, profiles): set `temporal_address` to nothing and it is used."""

    model_config = SettingsConfigDict(env_prefix="TRAVELHUB_", env_nested_delimiter="__", extra="ignore")

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
    rapid_url: HttpUrl = HttpUrl("https://test.ean.com")
    rapid_api_key: SecretStr
    rapid_secret: SecretStr
    rapid_test_header: str | None = "standard"
    """On the production host a missing Test header books for real; empty it only there, on purpose."""
    rapid_customer_ip: str = "127.0.0.1"
    stripe_url: HttpUrl = HttpUrl("https://api.stripe.com")
    stripe_api_key: SecretStr
    stripe_webhook_secret: SecretStr
    sandbox_url: HttpUrl | None = None
    """Set on the embedded stack only: where the vendor sandbox and its books are."""
    vendor_timeout_s: Annotated[float, Field(gt=0)] = 90
    """Total deadline of one booking call, connect to last byte."""
    vendor_read_timeout_s: Annotated[float, Field(gt=0)] = 5
    """Total deadline of one search or price check."""
    vendor_clock_scale: Annotated[float, Field(gt=0)] = 1.0
    """Multiplies how long a vendor is believed to lag behind its own effects; below 1 only where their clocks are compressed too."""

    saga: SagaPolicy = SagaPolicy()
    price_tolerance_max_percent: Annotated[int, Field(ge=0, le=5)] = 5
    offer_ttl_s: Annotated[float, Field(gt=0)] = 1800
    cancellation_quote_ttl_s: Annotated[float, Field(gt=0)] = 900

    @classmethod
    def load(cls) -> "Settings":
        """From the environment; raises SettingsError that names every variable that is missing or wrong."""
        try:
            return cls()  # pyright: ignore[reportCallIssue]  # the required fields come from the environment
        except ValidationError as error:
            faults = [
                f"  TRAVELHUB_{'__'.join(str(part) for part in fault['loc']).upper()}: {fault['msg']}"
                for fault in error.errors(include_input=False, include_url=False)
            ]
            raise SettingsError("these settings are missing or wrong:\n" + "\n".join(faults)) from None


def data_directory() -> Path:
    """Where the embedded stack keeps its data: `.travelhub/` in the current directory."""
    return Path.cwd() / ".travelhub"
