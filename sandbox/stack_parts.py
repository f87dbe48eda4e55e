"""Our own processes: the vendor sandbox, workers and the API. Each is the command production uses, configured by environment."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable

from sandbox.stack_state import HOST, StackState
from sandbox.stack_temporal import TemporalProbe
from sandbox.supervisor import Part, StackError
from schema.bookings import TASK_QUEUE

_OK = 200


def own_command(*words: str) -> list[str]:
    """`travelhub ...` with this interpreter. `-P`: a `cli.py` in the current directory is not ours."""
    return [sys.executable, "-P", "-m", "cli", *words]


def own_environment(state: StackState) -> dict[str, str]:
    """The shell's, with what this stack decides on top; output appears in the log when it is written."""
    return {**os.environ, **state.environment(), "PYTHONUNBUFFERED": "1"}


def sandbox_part(state: StackState, seed: int, *, with_webhooks: bool) -> Part:
    """The simulated vendors. With an API to receive them, their webhooks are pointed at it."""

    async def direct_webhooks() -> None:
        if with_webhooks:
            await asyncio.to_thread(put_webhook_targets, state)

    return Part(
        name="sandbox",
        command=own_command("sandbox"),
        environment={
            **own_environment(state),
            "TRAVELHUB_SANDBOX_HOST": HOST,
            "TRAVELHUB_SANDBOX_PORT": str(state.ports.sandbox),
            "TRAVELHUB_SANDBOX_SEED": str(seed),
            "TRAVELHUB_SANDBOX_DATABASE": str(state.data / "sandbox.db"),
        },
        log=state.logs / "sandbox.log",
        ready=_answers(f"{state.sandbox_url}/_sandbox/health"),
        after_ready=direct_webhooks,
    )


def put_webhook_targets(state: StackState) -> None:
    """Tells the simulated vendors where their webhooks go. Needed again after `POST /_sandbox/reset`."""
    import httpx  # noqa: PLC0415

    # Twilio's callbacks go where each message says.
    signing: dict[str, dict[str, str]] = {
        "stripe": {"secret": state.secrets.stripe_webhook_secret},
        "paypal": {"webhook_id": state.secrets.paypal_webhook_id},
        "duffel": {"secret": state.secrets.duffel_webhook_secret},
        "sendgrid": {},
    }
    for vendor, secret in signing.items():
        target = {"url": f"{state.api_url}/v1/webhooks/{vendor}", "mode": "normal", **secret}
        url = f"{state.sandbox_url}/_sandbox/{vendor}/webhook"
        answer = httpx.put(url, json=target, timeout=5, trust_env=False)
        if answer.is_error:
            raise StackError(f"the sandbox refuses the webhook target: {answer.status_code} {answer.text}")


def worker_parts(state: StackState, probe: TemporalProbe, count: int) -> list[Part]:
    """`worker`, `worker-2`, `worker-3`...; each is ready when Temporal has seen it ask for work."""
    names = ["worker", *(f"worker-{number}" for number in range(2, count + 1))][:count]
    return [
        Part(
            name=name,
            command=own_command("worker"),
            environment=own_environment(state),
            log=state.logs / f"{name}.log",
            ready=lambda pid: probe.polls(pid, TASK_QUEUE),
            stop_timeout_s=25,  # it lets activities finish for up to 20 s
        )
        for name in names
    ]


def api_part(state: StackState) -> Part:
    """The HTTP API."""
    return Part(
        name="api",
        command=own_command("api"),
        # A local stack stops at once: nobody has another process to go to.
        environment={"TRAVELHUB_LIVE__DRAIN_NOTICE_S": "0", **own_environment(state)},
        log=state.logs / "api.log",
        ready=_answers(f"{state.api_url}/health/ready"),
        stop_timeout_s=15,
    )


def _answers(url: str) -> Callable[[int], Awaitable[bool]]:
    """A check that GET answers 200."""

    async def check(_: int) -> bool:
        return await asyncio.to_thread(_get, url)

    return check


def _get(url: str) -> bool:
    import httpx  # noqa: PLC0415

    answer = httpx.get(url, timeout=3, trust_env=False)
    if answer.status_code != _OK:
        raise StackError(f"GET {url} answers {answer.status_code}")
    return True
