"""The document of one vendor, shared by all processes through Valkey; this process's own while Valkey is away."""

import asyncio
import time
from collections.abc import Callable
from typing import Final, TypeVar

from pydantic import ValidationError
from structlog.stdlib import get_logger

from schema.settings import OutboundSettings
from schema.traffic import Circuit
from store.traffic_rules import Counts, VendorBook, circuit_of, tell
from store.valkey import Valkey

TELL_AFTER_S: Final = 0.2
"""How long others may not know of calls that went well. Failures are told at once."""
FRESH_S: Final = 0.25
"""How long what was read last is taken for how it is."""
_KEPT_S: Final = 3600
"""Longer than any circuit stays open; what is older says nothing."""
_NEVER_READ: Final = b"?"
"""Expected of a document that was not read yet: no document is this, so that the first try reads it, and the clock with it."""
_log = get_logger(__name__)
Result = TypeVar("Result")


class SharedBook:
    """Changed by compare-and-set: a change that somebody else was faster than is made again on what they left.

    So the rules are written once, in Python, for Valkey and for its absence. Calls that went well are told with the next change,
    at the latest after TELL_AFTER_S, which keeps Valkey out of the way of most calls.
    """

    def __init__(self, vendor: str, valkey: Valkey, settings: OutboundSettings) -> None:
        self._vendor = vendor
        self._key = f"traffic:{vendor}"
        self._valkey = valkey
        self._settings = settings
        self._lock = asyncio.Lock()
        self._expected = _NEVER_READ
        self._known = b""
        self._untold = Counts()
        self._teller: asyncio.Task[None] | None = None
        self._fresh_until_s = 0.0
        self._clock_ahead_s = time.time() - time.monotonic()
        self.shared = False
        """Whether the last change was shared with the other processes."""
        self.seen = VendorBook()
        """As it was after the last change."""

    def now(self) -> float:
        """Valkey's clock, as far as we know."""
        return time.monotonic() + self._clock_ahead_s

    @property
    def fresh(self) -> bool:
        return time.monotonic() < self._fresh_until_s

    def count(self, told: Counts) -> None:
        """To be told with the next change, or soon."""
        self._untold = self._untold.plus(told)
        if self._teller is None:
            self._teller = asyncio.create_task(self._tell_soon(), name=f"tell-{self._vendor}")

    async def change(self, rule: Callable[[VendorBook, float], Result]) -> Result:
        """What the rule says of the document, which is then as the rule left it; tells what is untold before."""
        async with self._lock:
            told, self._untold = self._untold, Counts()
            try:
                return await self._change(rule, told)
            except BaseException:
                # Cancelled on the way: told twice rather than never.
                self._untold = self._untold.plus(told)
                raise

    async def aclose(self) -> None:
        """Tells what is untold."""
        if self._teller is not None:
            self._teller.cancel()
            await asyncio.wait({self._teller})
            self._teller = None
        if any(self._untold):
            await self.change(_unchanged)

    async def _change(self, rule: Callable[[VendorBook, float], Result], told: Counts) -> Result:
        while True:
            book = _read(self._known)
            now = self.now()
            before = circuit_of(book, now)
            tell(book, told, now, self._settings)
            result = rule(book, now)
            changed = book.model_dump_json().encode()
            compared = await self._valkey.compare_and_set(self._key, self._expected, changed, _KEPT_S)
            if compared is not None:
                self._clock_ahead_s = compared.now_s - time.monotonic()
                self._expected = changed if compared.done else compared.kept
                if not compared.done:
                    # An emptied Valkey is given what this process knows.
                    self._known = compared.kept or self._known
                    continue
            self._known = changed
            self.seen = book
            self.shared = compared is not None
            self._fresh_until_s = time.monotonic() + FRESH_S
            self._log_turn(before, circuit_of(book, now))
            return result

    async def _tell_soon(self) -> None:
        await asyncio.sleep(TELL_AFTER_S)
        self._teller = None
        if any(self._untold):
            await self.change(_unchanged)

    def _log_turn(self, before: Circuit, after: Circuit) -> None:
        """By the process that turned it, and so once."""
        if after == "open" and before != "open":
            _log.warning("vendor_circuit_opened", vendor=self._vendor)
        elif after == "closed" and before != "closed":
            _log.info("vendor_circuit_closed", vendor=self._vendor)


def _read(document: bytes) -> VendorBook:
    if not document:
        return VendorBook()
    try:
        return VendorBook.model_validate_json(document)
    except ValidationError:
        # Another release's, or damaged: nothing is lost by starting anew.
        return VendorBook()


def _unchanged(_book: VendorBook, _now: float) -> None:
    """Only tells, and looks what the others told."""
