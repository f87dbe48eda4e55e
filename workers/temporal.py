"""The one way any of our processes connects to Temporal."""

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.envconfig import ClientConfig, ClientConnectConfig

from schema.settings import Settings, SettingsError


async def temporal_connection(settings: Settings, *, lazy: bool = False) -> Client:
    """Connects to `settings.temporal_address`, or without one as `temporalio.envconfig` says (`TEMPORAL_*`, profiles,
    TLS, API keys). `lazy` connects at the first call. The identity stays the SDK's `pid@host`: the embedded stack
    tells by it whether a worker of its own polls.

    Raises ConnectionError when Temporal cannot be reached, SettingsError when the configuration is wrong."""
    configuration = _configuration(settings)
    try:
        return await Client.connect(**configuration, data_converter=pydantic_data_converter, lazy=lazy)
    except RuntimeError as error:
        raise ConnectionError(f"Temporal at {configuration.get('target_host')} cannot be reached: {error}") from error


def _configuration(settings: Settings) -> ClientConnectConfig:
    if settings.temporal_address is not None:
        return ClientConnectConfig(target_host=settings.temporal_address, namespace=settings.temporal_namespace)
    try:
        configuration = ClientConfig.load_client_connect_config()
    except (RuntimeError, OSError) as error:  # an unknown profile; a certificate or a file that is not there
        raise SettingsError(f"Temporal's own configuration is wrong: {error}") from None
    if "target_host" not in configuration:
        raise SettingsError("no Temporal address: set TRAVELHUB_TEMPORAL_ADDRESS, TEMPORAL_ADDRESS or a profile")
    configuration.setdefault("namespace", settings.temporal_namespace)
    return configuration
