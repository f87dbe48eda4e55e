"""Where an operator sees with their own eyes what a case is about.

Temporal's Web UI shows the latest run of a workflow at `/namespaces/{namespace}/workflows/{workflow id}`. Stripe's dashboard shows
a payment intent at `/payments/{id}`, below `/test` for what was made with a test key.
"""

from typing import Final
from urllib.parse import quote

from schema.settings import Settings

_STRIPE: Final = "https://dashboard.stripe.com"


def workflow_url(settings: Settings, workflow_id: str) -> str:
    place = f"namespaces/{quote(settings.temporal_namespace, safe='')}/workflows/{quote(workflow_id, safe='')}"
    return f"{str(settings.temporal_ui_url).rstrip('/')}/{place}"


def vendor_url(settings: Settings, vendor: str, provider_reference: str | None) -> str | None:
    """None where the vendor has no dashboard, nothing is known to be shown there, or the vendor is simulated."""
    if vendor != "stripe" or settings.sandbox_url is not None:
        return None
    if provider_reference is None or not provider_reference.startswith("pi_"):
        return None
    is_test = "_test_" in settings.stripe_api_key.get_secret_value()
    return f"{_STRIPE}{'/test' if is_test else ''}/payments/{quote(provider_reference, safe='')}"
