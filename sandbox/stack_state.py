"""What is known of an embedded stack: where its parts listen, its secrets and tokens. Kept in `stack.json`, mode 0600.

`travelhub demo`, `travelhub audit`, tests and benches find a stack through here; its processes never read the file,
they get `StackState.environment()`.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final, Self
from urllib.parse import quote

from pydantic import BaseModel, Field, ValidationError

from sandbox.stack_lock import lock_holder
from sandbox.supervisor import StackError
from sandbox.vendors.fcm_token import service_account
from sandbox.vendors.fcm_wire import PROJECT
from sandbox.vendors.rapid_protocol import SHARED_SECRET
from sandbox.vendors.signing_keys import ecdsa_public_key, rsa_private_pem
from schema.settings import Settings, data_directory

HOST: Final = "127.0.0.1"
DATABASE: Final = "travelhub"
"""The name of the database and of the role that owns it."""
POSTGRES_SOCKET: Final = ".s.PGSQL.5432"

# A path in `sockaddr_un` has 108 bytes, the last of which is zero.
_SOCKET_PATH_LIMIT_BYTES: Final = 107


def _secret() -> str:
    return secrets.token_urlsafe(32)


class Ports(BaseModel):
    """TCP ports on the loopback address; PostgreSQL has none, it listens on a Unix socket."""

    valkey: int
    temporal: int
    temporal_ui: int
    sandbox: int
    api: int


class Secrets(BaseModel):
    """Made once for a data directory. They protect a sandbox: the vendors' keys open nothing outside it."""

    valkey_password: str = Field(default_factory=_secret, repr=False)
    duffel_token: str = Field(default_factory=lambda: f"duffel_test_{_secret()}", repr=False)
    duffel_webhook_secret: str = Field(default_factory=_secret, repr=False)
    amadeus_client_secret: str = Field(default_factory=_secret, repr=False)
    liteapi_api_key: str = Field(default_factory=lambda: f"sand_{_secret()}", repr=False)
    avis_client_secret: str = Field(default_factory=_secret, repr=False)
    paypal_client_secret: str = Field(default_factory=_secret, repr=False)
    paypal_webhook_id: str = Field(default_factory=lambda: f"WH{secrets.token_hex(8).upper()}", repr=False)
    rapid_api_key: str = Field(default_factory=lambda: secrets.token_hex(13), repr=False)
    rapid_secret: str = Field(default=SHARED_SECRET, repr=False)
    """The one secret that the simulated Rapid knows; it makes no secret of it."""
    stripe_api_key: str = Field(default_factory=lambda: f"sk_test_{secrets.token_hex(24)}", repr=False)
    stripe_webhook_secret: str = Field(default_factory=lambda: f"whsec_{secrets.token_hex(24)}", repr=False)
    link_secret: str = Field(default_factory=_secret, repr=False)
    sendgrid_api_key: str = Field(default_factory=lambda: f"SG.{_secret()}", repr=False)
    twilio_account_sid: str = Field(default_factory=lambda: f"AC{secrets.token_hex(16)}", repr=False)
    twilio_auth_token: str = Field(default_factory=lambda: secrets.token_hex(16), repr=False)


class VendorKeys(BaseModel):
    """Of the vendors who sign with keys of their own: they follow from the sandbox's seed."""

    seed: int
    sendgrid_public_key: str
    fcm_private_key: str = Field(repr=False)

    @classmethod
    def of(cls, seed: int) -> Self:
        """The keys of a sandbox with this seed; takes a moment."""
        return cls(seed=seed, sendgrid_public_key=ecdsa_public_key(seed), fcm_private_key=rsa_private_pem(seed))


class Tokens(BaseModel):
    """Bearer tokens of the API; PostgreSQL only knows their hashes."""

    client: str = Field(default_factory=lambda: f"th_client_{_secret()}", repr=False)
    operator: str = Field(default_factory=lambda: f"th_operator_{_secret()}", repr=False)


class PartRecord(BaseModel):
    """A process of the stack as last seen by its supervisor."""

    pid: int | None
    created_at: float | None
    """When the process was created, by the system's clock: with the pid it names one process for ever."""
    ready: bool
    starts: int
    log: Path


class StackState(BaseModel):
    """Everything another process needs to use, or to find, a stack."""

    data: Path
    socket_directory: Path
    ports: Ports
    secrets: Secrets = Field(default_factory=Secrets)
    tokens: Tokens = Field(default_factory=Tokens)
    vendor_keys: VendorKeys | None = None
    overrides: dict[str, str] = Field(default_factory=dict)
    """`TRAVELHUB_*` variables that whoever started the stack wants in all of its processes."""
    supervisor_pid: int | None = None
    started_at: datetime | None = None
    ready: bool = False
    parts: dict[str, PartRecord] = Field(default_factory=dict)

    @classmethod
    def path(cls, data: Path) -> Path:
        """The file that keeps the state of the stack in this data directory."""
        return data / "stack.json"

    @classmethod
    def load(cls, data: Path) -> Self:
        """As last saved, whether the stack runs or not; raises StackError when there is none."""
        path = cls.path(data)
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            raise StackError(f"there is no stack in {data}; `travelhub up` makes one") from None
        except PermissionError:
            raise StackError(f"{path} belongs to another user; choose a directory of yours with --data") from None
        except ValidationError:
            raise StackError(f"{path} is damaged; move {data} away and start again") from None

    @classmethod
    def load_running(cls, data: Path | None = None) -> Self:
        """The state of the stack that runs and is ready there (default: see `find_data_directory`), or StackError."""
        data = data or find_data_directory()
        if lock_holder(data) is None:
            raise StackError(f"no stack runs in {data}; start it with `travelhub up`")
        state = cls.load(data)
        if not state.ready:
            raise StackError(f"the stack in {data} is still starting, or is stopping")
        return state

    def save(self) -> None:
        """Replaces the file in one step: a reader sees the old one or the new one, and so does a crash."""
        path = self.path(self.data)
        descriptor, temporary = tempfile.mkstemp(dir=self.data, prefix=".stack-")  # made with mode 0600
        with os.fdopen(descriptor, "w") as file:
            file.write(self.model_dump_json(indent=2))
        Path(temporary).replace(path)

    @property
    def logs(self) -> Path:
        return self.data / "logs"

    @property
    def api_url(self) -> str:
        return f"http://{HOST}:{self.ports.api}"

    @property
    def sandbox_url(self) -> str:
        return f"http://{HOST}:{self.ports.sandbox}"

    @property
    def temporal_address(self) -> str:
        return f"{HOST}:{self.ports.temporal}"

    @property
    def temporal_ui_url(self) -> str:
        return f"http://{HOST}:{self.ports.temporal_ui}"

    @property
    def valkey_url(self) -> str:
        return f"redis://:{self.secrets.valkey_password}@{HOST}:{self.ports.valkey}/0"

    @property
    def database_url(self) -> str:
        # The URL's host is a formality, which pydantic insists on; `host` in the query is what psycopg connects to.
        return f"postgresql+psycopg://{DATABASE}@localhost/{DATABASE}?host={quote(str(self.socket_directory), safe='')}"

    def environment(self) -> dict[str, str]:
        """All `TRAVELHUB_*` variables of a process that is to work against this stack."""
        return {
            "TRAVELHUB_ENVIRONMENT": "local",
            "TRAVELHUB_DATA": str(self.data),
            "TRAVELHUB_DATABASE_URL": self.database_url,
            "TRAVELHUB_VALKEY_URL": self.valkey_url,
            "TRAVELHUB_TEMPORAL_ADDRESS": self.temporal_address,
            "TRAVELHUB_TEMPORAL_NAMESPACE": "default",
            "TRAVELHUB_TEMPORAL_UI_URL": self.temporal_ui_url,
            "TRAVELHUB_API_HOST": HOST,
            "TRAVELHUB_API_PORT": str(self.ports.api),
            "TRAVELHUB_DUFFEL_URL": f"{self.sandbox_url}/duffel",
            "TRAVELHUB_DUFFEL_TOKEN": self.secrets.duffel_token,
            "TRAVELHUB_DUFFEL_WEBHOOK_SECRET": self.secrets.duffel_webhook_secret,
            "TRAVELHUB_AMADEUS_URL": f"{self.sandbox_url}/amadeus",
            "TRAVELHUB_AMADEUS_CLIENT_ID": "travelhub",
            "TRAVELHUB_AMADEUS_CLIENT_SECRET": self.secrets.amadeus_client_secret,
            "TRAVELHUB_LITEAPI_URL": f"{self.sandbox_url}/liteapi/v3.0",
            "TRAVELHUB_LITEAPI_BOOKING_URL": f"{self.sandbox_url}/liteapi/v3.0",
            "TRAVELHUB_LITEAPI_API_KEY": self.secrets.liteapi_api_key,
            "TRAVELHUB_AVIS_URL": f"{self.sandbox_url}/avis",
            "TRAVELHUB_AVIS_CLIENT_ID": "travelhub",
            "TRAVELHUB_AVIS_CLIENT_SECRET": self.secrets.avis_client_secret,
            "TRAVELHUB_RAPID_URL": f"{self.sandbox_url}/rapid",
            "TRAVELHUB_RAPID_API_KEY": self.secrets.rapid_api_key,
            "TRAVELHUB_RAPID_SECRET": self.secrets.rapid_secret,
            "TRAVELHUB_STRIPE_URL": f"{self.sandbox_url}/stripe",
            "TRAVELHUB_STRIPE_API_KEY": self.secrets.stripe_api_key,
            "TRAVELHUB_STRIPE_WEBHOOK_SECRET": self.secrets.stripe_webhook_secret,
            "TRAVELHUB_PAYPAL_URL": f"{self.sandbox_url}/paypal",
            "TRAVELHUB_PAYPAL_CLIENT_ID": "travelhub",
            "TRAVELHUB_PAYPAL_CLIENT_SECRET": self.secrets.paypal_client_secret,
            "TRAVELHUB_PAYPAL_WEBHOOK_ID": self.secrets.paypal_webhook_id,
            "TRAVELHUB_PAYPAL_RETURN_URL": f"{self.api_url}/",
            **self._messengers(),
            "TRAVELHUB_PUBLIC_URL": f"{self.api_url}/",
            "TRAVELHUB_LINK_SECRET": self.secrets.link_secret,
            "TRAVELHUB_SANDBOX_URL": self.sandbox_url,
            "TRAVELHUB_RELAY__ALLOW_PRIVATE_TARGETS": "true",
            **self.overrides,
        }

    def _messengers(self) -> dict[str, str]:
        """The vendors that take messages to travellers."""
        keys = self.vendor_keys
        if keys is None:
            return {}
        return {
            "TRAVELHUB_SENDGRID_URL": f"{self.sandbox_url}/sendgrid",
            "TRAVELHUB_SENDGRID_API_KEY": self.secrets.sendgrid_api_key,
            "TRAVELHUB_SENDGRID_WEBHOOK_PUBLIC_KEY": keys.sendgrid_public_key,
            "TRAVELHUB_TWILIO_URL": f"{self.sandbox_url}/twilio",
            "TRAVELHUB_TWILIO_ACCOUNT_SID": self.secrets.twilio_account_sid,
            "TRAVELHUB_TWILIO_AUTH_TOKEN": self.secrets.twilio_auth_token,
            "TRAVELHUB_TWILIO_FROM": "+15005550006",
            "TRAVELHUB_FCM_URL": f"{self.sandbox_url}/fcm",
            "TRAVELHUB_FCM_TOKEN_URL": f"{self.sandbox_url}/fcm/token",
            "TRAVELHUB_FCM_PROJECT_ID": PROJECT,
            "TRAVELHUB_FCM_SERVICE_ACCOUNT": json.dumps(service_account(keys.fcm_private_key, self.sandbox_url)),
        }

    def settings(self) -> Settings:
        """What such a process would load; raises SettingsError like it."""
        with _environment(self.environment()):
            return Settings.load()


@contextlib.contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """Sets variables for the moment it takes to read them, so that settings are understood in one place only."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def find_data_directory(chosen: Path | None = None) -> Path:
    """Where a stack keeps everything: as chosen, else `TRAVELHUB_DATA`, else `.travelhub/` in the current directory."""
    if chosen is None and os.environ.get("TRAVELHUB_DATA"):
        chosen = Path(os.environ["TRAVELHUB_DATA"])
    return (chosen or data_directory()).expanduser().resolve()


def choose_socket_directory(data: Path, owner_uid: int) -> Path:
    """Within the data directory if a socket's path fits there, else a short one that only this user can have."""
    if fits_socket_path(data / "run"):
        return data / "run"
    # The inode tells apart a directory from one that was moved or made anew at the same path.
    return Path("/tmp") / f"travelhub-{owner_uid}-{data.stat().st_ino:x}"  # noqa: S108  # its owner is checked


def fits_socket_path(directory: Path) -> bool:
    """Whether PostgreSQL's socket can be bound in there."""
    return len(os.fsencode(directory / POSTGRES_SOCKET)) <= _SOCKET_PATH_LIMIT_BYTES
