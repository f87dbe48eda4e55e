"""Attempts: what we are about to ask of a vendor, written before we ask; and what came of it.

An attempt is one effect by its key. Its status: `calling` (somebody asked, no answer is recorded), `ready` (every call so far
certainly had no effect), `confirmed`, `rejected`, `unknown`. A tombstone says that the effect is not wanted any more: nobody may
call for it again, and whoever undoes must look for it until it can no longer appear.
"""

from datetime import datetime
from typing import Literal

from pydantic import TypeAdapter
from sqlalchemy import RowMapping, bindparam, func, literal_column, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.errors import InvariantBroken
from schema.model import Message
from schema.outcomes import ActionRequired, Confirmed, PaymentOutcome, Rejected, Unknown
from schema.tables import attempts

Status = Literal["calling", "ready", "confirmed", "rejected", "unknown"]
_OUTCOME: TypeAdapter[PaymentOutcome] = TypeAdapter(PaymentOutcome)

# Built once: to build a statement costs as much as to run it. Which columns are written is said by the values given with it.
_OF_KEY = attempts.c.key == bindparam("of_key")
_CLAIM = insert(attempts).on_conflict_do_nothing().returning(attempts.c.created_at)
_READ = select(attempts).where(_OF_KEY)
_LOCK = _READ.with_for_update()
_CLAIM_AGAIN = update(attempts).where(_OF_KEY).values(tries=attempts.c.tries + 1)
_FINISH_WITH_EVIDENCE = update(attempts).where(_OF_KEY).values(updated_at=func.now())
_FINISH = _FINISH_WITH_EVIDENCE.where(
    attempts.c.status.in_([literal_column(f"'{status}'") for status in ("calling", "ready", "unknown")])
)
_REFUSE_ONLY = _FINISH_WITH_EVIDENCE.where(
    attempts.c.status == "calling", attempts.c.tries == bindparam("of_tries"), attempts.c.tombstoned_at.is_(None)
)
_NOTHING_HAPPENED = update(attempts).where(_OF_KEY, attempts.c.status == "calling").values(status="ready")


class NewAttempt(Message):
    key: str
    booking_id: str
    step: str
    item_no: int | None
    generation: int
    vendor: str
    reference: str
    request_hash: bytes


class Attempt(Message):
    key: str
    step: str
    item_no: int | None
    generation: int
    vendor: str
    reference: str
    status: Status
    tries: int
    provider_reference: str | None
    outcome: PaymentOutcome | None
    tombstoned: bool
    created_at: datetime
    fresh: bool = False
    """This caller may call: nobody called before, or every earlier call certainly had no effect."""

    def clean_refusal(self) -> bool:
        """One call, one definite no: nothing can be there."""
        return self.status == "rejected" and self.tries == 1


async def begin(connection: AsyncConnection, new: NewAttempt) -> Attempt:
    """Claims the effect before the call. Raises InvariantBroken if the key was used for another request."""
    values = {**new.model_dump(), "status": "calling", "tries": 1}
    created_at = await connection.scalar(_CLAIM, values)
    if created_at is not None:
        made = {"provider_reference": None, "outcome": None, "tombstoned": False, "created_at": created_at}
        return Attempt.model_validate({**values, **made, "fresh": True})
    row = (await connection.execute(_LOCK, {"of_key": new.key})).mappings().one()
    if row["request_hash"] not in (new.request_hash, b""):
        raise InvariantBroken(f"attempt {new.key} was made with another request")
    fresh = row["status"] == "ready" and row["tombstoned_at"] is None
    # A tombstone may have come before the attempt itself and then holds neither hash nor claim.
    changes: dict[str, object] = {"of_key": new.key, "request_hash": new.request_hash}
    if fresh:
        changes["status"] = "calling"
    await connection.execute(_CLAIM_AGAIN, changes)
    return _attempt(row, fresh=fresh)


async def finish(connection: AsyncConnection, key: str, outcome: PaymentOutcome) -> bool:
    """Records what the vendor said. Evidence of an effect outweighs everything; `unknown` never overwrites an answer.

    False if something weightier was recorded before: a straggler came late.
    """
    status = {Confirmed: "confirmed", Rejected: "rejected", Unknown: "unknown", ActionRequired: "unknown"}[
        type(outcome)
    ]
    values: dict[str, object] = {"of_key": key, "status": status, "outcome": outcome.model_dump(mode="json")}
    if isinstance(outcome, Confirmed | ActionRequired):
        values["provider_reference"] = outcome.provider_reference
    statement = _FINISH_WITH_EVIDENCE if isinstance(outcome, Confirmed) else _FINISH
    return (await connection.execute(statement, values)).rowcount > 0


async def refuse_only(connection: AsyncConnection, begun: Attempt, outcome: Rejected) -> bool:
    """Records a refusal that is one only for whoever alone has called; False, and nothing recorded, if somebody else has begun to
    since, or might have before."""
    if not begun.fresh:
        return False
    values: dict[str, object] = {
        "of_key": begun.key,
        # `begin` reads before it claims again.
        "of_tries": begun.tries if begun.status == "calling" else begun.tries + 1,
        "status": "rejected",
        "outcome": outcome.model_dump(mode="json"),
    }
    return (await connection.execute(_REFUSE_ONLY, values)).rowcount > 0


async def nothing_happened(connection: AsyncConnection, key: str) -> None:
    """The call certainly had no effect and may be made again; only for the caller whose `begin` was fresh."""
    await connection.execute(_NOTHING_HAPPENED, {"of_key": key})


async def tombstone(connection: AsyncConnection, new: NewAttempt) -> None:
    """No call for this effect may start from now on, also if none was ever begun."""
    statement = insert(attempts).values(
        **{**new.model_dump(), "request_hash": b""}, status="ready", tries=0, tombstoned_at=func.now()
    )
    await connection.execute(
        statement.on_conflict_do_update(
            index_elements=["key"],
            set_={"tombstoned_at": func.coalesce(attempts.c.tombstoned_at, func.now()), "updated_at": func.now()},
        )
    )


async def of_booking(connection: AsyncConnection, booking_id: str) -> list[Attempt]:
    """All of a booking, oldest first."""
    rows = await connection.execute(
        select(attempts).where(attempts.c.booking_id == booking_id).order_by(attempts.c.created_at, attempts.c.key)
    )
    return [_attempt(row) for row in rows.mappings()]


async def by_key(connection: AsyncConnection, key: str) -> Attempt | None:
    row = (await connection.execute(_READ, {"of_key": key})).mappings().one_or_none()
    return None if row is None else _attempt(row)


def _attempt(row: RowMapping, *, fresh: bool = False) -> Attempt:
    values: dict[str, object] = {str(name): value for name, value in row.items()}
    outcome = values.pop("outcome")
    values["outcome"] = None if outcome is None else _OUTCOME.validate_python(outcome)
    values["tombstoned"] = values.pop("tombstoned_at") is not None
    return Attempt.model_validate({**values, "fresh": fresh})
