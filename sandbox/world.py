"""What the simulated vendors know: their documents, their clock, their dice, and the ledger of what they did.

A vendor keeps no state of its own. Everything is in the `World`, so that a reset forgets it and a restart
(when a database is given) finds it again. The ledger is the judge of every test and audit: it is written by
`World.effect` alone, an entry is bytes from the moment it exists, and SQLite refuses to change or delete one.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from random import Random
from typing import Final, TypeAlias, cast

import orjson

JsonObject: TypeAlias = dict[str, object]
"""A JSON object. Readers narrow what they take out of it; `Any` never crosses a module."""

logger = logging.getLogger("travelhub.sandbox")

_ID_LENGTH: Final = 22
_BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS documents (
    vendor TEXT NOT NULL, kind TEXT NOT NULL, object_id TEXT NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (vendor, kind, object_id));
CREATE TABLE IF NOT EXISTS ledger (seq INTEGER PRIMARY KEY, vendor TEXT NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS issued_ids (prefix TEXT PRIMARY KEY, issued INTEGER NOT NULL);
CREATE TRIGGER IF NOT EXISTS ledger_is_not_changed BEFORE UPDATE ON ledger
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER IF NOT EXISTS ledger_is_not_deleted BEFORE DELETE ON ledger
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
"""


@dataclass(frozen=True)
class WorldSettings:
    """How long the vendors wait; tests make these short."""

    hold_s: float = 1800
    """A held reservation that nobody pays for expires after this many seconds."""
    offer_ttl_s: float = 1800
    """A quoted price is good for this many seconds."""


class Ledger:
    """Every effect any vendor made, in order. Entries are kept rendered, so that nobody holds what could change one."""

    def __init__(self) -> None:
        self._vendors: list[str] = []
        self._bodies: list[bytes] = []

    def __len__(self) -> int:
        return len(self._bodies)

    def append(self, vendor: str, body: bytes) -> None:
        """Add a rendered entry. Only `World` calls this: with a new effect, or with those read back at a start."""
        self._vendors.append(vendor)
        self._bodies.append(body)

    def bodies(self, *, vendor: str | None = None, contains: str | None = None, after: int = 0) -> Iterator[bytes]:
        """Rendered entries with `seq` above `after`, oldest first; `contains` is searched in the whole entry."""
        needle = contains.encode() if contains else None
        for of_vendor, body in zip(islice(self._vendors, after, None), islice(self._bodies, after, None), strict=True):
            if (vendor is None or of_vendor == vendor) and (needle is None or needle in body):
                yield body


class Shelf:
    """All documents of a kind, and at which place of `documents` each is: they lie there in the order they were first put."""

    def __init__(self) -> None:
        self._documents: list[JsonObject] = []
        self._places: dict[str, int] = {}

    @property
    def documents(self) -> Sequence[JsonObject]:
        """The oldest first. Not a copy: do not put while iterating."""
        return self._documents

    def place(self, object_id: str) -> int | None:
        return self._places.get(object_id)

    def get(self, object_id: str) -> JsonObject | None:
        place = self._places.get(object_id)
        return None if place is None else self._documents[place]

    def put(self, object_id: str, document: JsonObject) -> None:
        """A new one lies behind all others, a changed one where it was."""
        place = self._places.setdefault(object_id, len(self._documents))
        if place == len(self._documents):
            self._documents.append(document)
        else:
            self._documents[place] = document


class _Storage:
    """The SQLite copy of a world. Survives the death of the process, not that of the machine (synchronous=off)."""

    def __init__(self, database: Path) -> None:
        database.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(database, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=OFF")
        self._connection.executescript(_SCHEMA)

    def documents(self) -> Iterator[tuple[str, str, str, bytes]]:
        """All documents in the order they were first put."""
        yield from self._connection.execute("SELECT vendor, kind, object_id, body FROM documents ORDER BY rowid")

    def ledger(self) -> Iterator[tuple[str, bytes]]:
        """All effects in order."""
        yield from self._connection.execute("SELECT vendor, body FROM ledger ORDER BY seq")

    def issued_ids(self) -> dict[str, int]:
        """How many ids were issued per prefix."""
        return dict(self._connection.execute("SELECT prefix, issued FROM issued_ids"))

    def write(
        self,
        documents: list[tuple[str, str, str, bytes]],
        effects: list[tuple[int, str, bytes]],
        issued: list[tuple[str, int]],
    ) -> None:
        """One transaction. Documents are upserted, never replaced: their rowid is the order they were put in."""
        execute = self._connection.executemany
        self._connection.execute("BEGIN")
        execute(
            "INSERT INTO documents VALUES (?, ?, ?, ?) "
            "ON CONFLICT (vendor, kind, object_id) DO UPDATE SET body = excluded.body",
            documents,
        )
        execute("INSERT INTO ledger VALUES (?, ?, ?)", effects)
        execute("INSERT INTO issued_ids VALUES (?, ?) ON CONFLICT DO UPDATE SET issued = excluded.issued", issued)
        self._connection.execute("COMMIT")

    def forget(self) -> None:
        """Drop documents and ledger; issued ids stay, so that no id is ever issued twice."""
        self._connection.executescript("DROP TABLE documents; DROP TABLE ledger;" + _SCHEMA)

    def close(self) -> None:
        self._connection.close()


class World:
    """The state of all vendors. Use from the server's event loop only; no method but timers' callbacks ever waits."""

    def __init__(self, seed: int, database: Path | None = None, *, settings: WorldSettings | None = None) -> None:
        self.seed = seed
        self.settings = settings or WorldSettings()
        self.ledger = Ledger()
        self._shelves: defaultdict[tuple[str, str], Shelf] = defaultdict(Shelf)
        self._issued: dict[str, int] = {}
        self._changed: dict[tuple[str, str, str], JsonObject] = {}
        self._new_effects: list[tuple[int, str, bytes]] = []
        self._issued_since_flush: set[str] = set()
        self._waiting: list[tuple[float, Callable[[], Awaitable[None]]]] = []
        self._timers: set[asyncio.TimerHandle] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._storage = _Storage(database) if database else None
        self._load()

    # ------------------------------------------------------------------------------------------------ documents

    def put(self, vendor: str, kind: str, object_id: str, document: JsonObject) -> None:
        """Keep a document, new or changed. Change one only together with a `put`: that is what writes it through."""
        self._shelves[vendor, kind].put(object_id, document)
        if self._storage:
            self._changed[vendor, kind, object_id] = document

    def get(self, vendor: str, kind: str, object_id: str) -> JsonObject | None:
        """The document itself, not a copy."""
        return self._shelves[vendor, kind].get(object_id)

    def all(self, vendor: str, kind: str) -> list[JsonObject]:
        """All documents of a kind, in the order they were first put."""
        return list(self._shelves[vendor, kind].documents)

    def newest(self, vendor: str, kind: str) -> Iterator[JsonObject]:
        """All documents of a kind, the last put first, without copying them; do not put while iterating."""
        return reversed(self._shelves[vendor, kind].documents)

    def shelf(self, vendor: str, kind: str) -> Shelf:
        """The same in the order they were first put, to begin at any place; only `put` of the world adds to it."""
        return self._shelves[vendor, kind]

    # ------------------------------------------------------------------------------------------- ids, dice, time

    def new_id(self, prefix: str) -> str:
        """`prefix` (with its separator, as in `ord_`) and 22 letters and digits. The n-th id of a prefix is always
        the same for a seed, whatever the other vendors do meanwhile, and none is issued twice, not even after a
        reset or a restart on the same database."""
        issued = self._issued.get(prefix, 0) + 1
        self._issued[prefix] = issued
        self._issued_since_flush.add(prefix)
        number = int.from_bytes(blake2b(f"{self.seed}|{prefix}|{issued}".encode(), digest_size=16).digest(), "big")
        letters: list[str] = []
        for _ in range(_ID_LENGTH):
            number, remainder = divmod(number, 62)
            letters.append(_BASE62[remainder])
        return prefix + "".join(letters)

    def random(self, *parts: object) -> Random:
        """Dice that fall the same way for the same seed and parts, in every process and after every restart."""
        return Random("|".join((str(self.seed), *map(str, parts))))

    def now(self) -> datetime:
        """The vendors' clock, UTC."""
        return datetime.now(UTC)

    def later(self, delay_s: float, callback: Callable[[], Awaitable[None]]) -> None:
        """Run the callback after the delay in the server's loop; asked for before the loop runs, it starts with it.

        Timers die with the process: who needs one to survive keeps a document and asks again in `routes(world)`.
        """
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._waiting.append((delay_s, callback))
            return

        # A timer handle and not a sleeping task: there may be one for every hold of a load test.
        def fire() -> None:
            self._timers.discard(timer)
            task = loop.create_task(self._run(callback))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        timer = loop.call_later(delay_s, fire)
        self._timers.add(timer)

    # ---------------------------------------------------------------------------------------------------- ledger

    def effect(
        self,
        vendor: str,
        type: str,  # noqa: A002 - the ledger's own word for it, on the wire too
        *,
        object_id: str,
        metadata: JsonObject,
        amount_minor: int | None = None,
        currency: str | None = None,
        details: JsonObject | None = None,
    ) -> None:
        """Append to the ledger. Call it in the same breath (no await between) as the `put` it tells of."""
        sequence = len(self.ledger) + 1
        entry: JsonObject = {
            "seq": sequence,
            "at": self.now().isoformat(),
            "vendor": vendor,
            "type": type,
            "object_id": object_id,
            "metadata": metadata,
            "amount_minor": amount_minor,
            "currency": currency,
            "details": details or {},
        }
        body = orjson.dumps(entry)
        self.ledger.append(vendor, body)
        if self._storage:
            self._new_effects.append((sequence, vendor, body))

    # -------------------------------------------------------------------------------------------------- lifetime

    def flush(self) -> None:
        """Write what changed to the database, in one transaction. The gate calls it before an answer leaves."""
        if not self._storage or not (self._changed or self._new_effects or self._issued_since_flush):
            return
        self._storage.write(
            [(*key, orjson.dumps(document)) for key, document in self._changed.items()],
            self._new_effects,
            [(prefix, self._issued[prefix]) for prefix in self._issued_since_flush],
        )
        self._changed.clear()
        self._new_effects.clear()
        self._issued_since_flush.clear()

    def reset(self) -> None:
        """Forget documents, ledger and timers."""
        self._cancel_timers()
        self._shelves.clear()
        self._changed.clear()
        self._new_effects.clear()
        self.ledger = Ledger()
        if self._storage:
            self._storage.forget()

    def start(self) -> None:
        """Start the timers asked for before there was a loop."""
        waiting, self._waiting = self._waiting, []
        for delay_s, callback in waiting:
            self.later(delay_s, callback)

    def close(self) -> None:
        """Drop the timers, write what is unwritten, close the database."""
        self._cancel_timers()
        if self._storage:
            self.flush()
            self._storage.close()
            self._storage = None

    def _load(self) -> None:
        if not self._storage:
            return
        for vendor, kind, object_id, body in self._storage.documents():
            document = cast(JsonObject, orjson.loads(body))
            self._shelves[vendor, kind].put(object_id, document)
        for vendor, body in self._storage.ledger():
            self.ledger.append(vendor, body)
        self._issued = self._storage.issued_ids()

    async def _run(self, callback: Callable[[], Awaitable[None]]) -> None:
        try:
            await callback()
        except Exception:
            # A vendor's timer that fails must be seen, and must not take the server down.
            logger.exception("a timer of the sandbox failed")
        self.flush()

    def _cancel_timers(self) -> None:
        self._waiting.clear()
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        for task in self._tasks:
            task.cancel()
