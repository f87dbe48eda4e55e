"""Settings: all faults at once, no value shown, secrets masked (M-7)."""

import pytest

from schema.settings import Settings, SettingsError

GOOD = {
    "TRAVELHUB_DATABASE_URL": "postgresql+psycopg://u:hidden-password@localhost/db",
    "TRAVELHUB_VALKEY_URL": "redis://localhost:6379/0",
    "TRAVELHUB_DUFFEL_TOKEN": "hidden-duffel",
    "TRAVELHUB_RAPID_API_KEY": "hidden-key",
    "TRAVELHUB_RAPID_SECRET": "hidden-secret",
    "TRAVELHUB_STRIPE_API_KEY": "hidden-stripe",
    "TRAVELHUB_STRIPE_WEBHOOK_SECRET": "hidden-webhook",
}


@pytest.fixture(autouse=True)
def _only_these(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in GOOD:
        monkeypatch.delenv(name, raising=False)


def test_every_missing_setting_is_named() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.load()
    assert all(name in str(caught.value) for name in GOOD)


def test_wrong_values_are_named_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**GOOD, "TRAVELHUB_API_PORT": "seventy", "TRAVELHUB_SAGA__HOLD_MARGIN_S": "soon"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        Settings.load()
    told = str(caught.value)
    assert "TRAVELHUB_API_PORT" in told
    assert "TRAVELHUB_SAGA__HOLD_MARGIN_S" in told
    assert "seventy" not in told


def test_secrets_are_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    shown = repr(Settings.load()).replace(
        "hidden-password", ""
    )  # the database's URL is never logged; see schema/settings.py
    assert "hidden-" not in shown


def test_an_empty_optional_secret_is_none(monkeypatch: pytest.MonkeyPatch):
    """A compose file hands on what is not set as an empty text; as a webhook's secret it would let everybody in."""
    for name, value in {**GOOD, "TRAVELHUB_DUFFEL_WEBHOOK_SECRET": "", "TRAVELHUB_PAYPAL_CLIENT_ID": ""}.items():
        monkeypatch.setenv(name, value)
    settings = Settings.load()
    assert (settings.duffel_webhook_secret, settings.paypal_client_id) == (None, None)
