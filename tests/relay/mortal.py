"""A relay process that stops at one point, says so, and waits to be killed, or for a line that lets it go on.

    python -m tests.relay.mortal POINT

Nothing in the relay knows of this: the pieces it is made of are wrapped here.
"""

import asyncio
import os
import sys
from collections.abc import Callable

from gateways.callbacks import CallbackSender
from schema.settings import Settings
from store import deliveries
from store.event_stream import EventStream
from store.feed_window import FeedWindow
from store.outbox import Outbox
from tests.relay.conftest import QUICK
from workers.relay import run_relay
from workers.relay.delivering import Deliverer

POINTS: dict[str, tuple[object, str]] = {
    "read": (Outbox, "unpublished"),
    "numbered": (Outbox, "number"),
    "told": (FeedWindow, "tell"),
    "added": (EventStream, "add"),
    "marked": (Outbox, "mark_published"),
    "chosen": (Deliverer, "_due"),
    "sent": (CallbackSender, "send"),
    "written": (deliveries, "record"),
    "recorded": (Deliverer, "_record"),
}
"""After which step. `written` is before the commit."""


def stop_after(owner: object, name: str, point: str) -> None:
    step: Callable = getattr(owner, name)
    stopped = False

    async def wrapped(*args: object, **named: object) -> object:
        nonlocal stopped
        result = await step(*args, **named)
        something = result is not False and (name not in {"unpublished", "_due"} or result)
        if something and not stopped:
            stopped = True
            print(point, flush=True)  # noqa: T201
            sys.stdin.readline()  # in the loop's own thread: all of the process stands still
        return result

    setattr(owner, name, wrapped)


if __name__ == "__main__":
    stop_after(*POINTS[sys.argv[1]], sys.argv[1])
    settings = Settings.load()
    asyncio.run(run_relay(settings.model_copy(update={"relay": QUICK})))
    os._exit(0)
