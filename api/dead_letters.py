"""Dealing with a dead letter: handing it over again, saying what it is about, dropping it; each is written into the desk's record."""

from sqlalchemy.ext.asyncio import AsyncConnection

from activities.handing_over import Away, HandingOver
from api.dead_letter_models import DeadLetterView, LetterDrop, LetterRepair, LetterReplay
from api.idempotency import Answer
from api.notification_replays import tell_again
from api.problems import refusal
from api.services import Services
from api.temporal import update_id_for
from schema.dead_letters import WEBHOOK, DeadLetter, Target
from schema.errors import Conflict, NotFound, ServiceUnavailable
from schema.notifications import NOTIFICATION_LETTER
from store import dead_letters
from store.clients import ApiClient
from store.dead_letters import LetterAction
from store.inbox import InboxMessage

Wish = LetterReplay | LetterRepair | LetterDrop


async def deal_with(services: Services, client: ApiClient, letter_id: str, wish: Wish, key: str) -> Answer:
    """Does what the operator wants; the answer shows the letter as it is then: resolved, dropped, or waiting with one failure more.

    Raises NotFound, Conflict (`dead_letter_settled`), Refused for a repair that does not fit the message, or ServiceUnavailable
    while somebody who is needed is away: nothing is counted then.
    """
    action = _action(letter_id, client, wish, key)
    if isinstance(wish, LetterDrop):
        async with services.database.transaction() as connection:
            await _waiting(connection, letter_id)
            await dead_letters.settle(connection, letter_id, "dropped")
            await dead_letters.record(connection, _line(action, "closed"))
            return await _shown(connection, letter_id)
    async with services.database.transaction() as connection:
        letter = await _waiting(connection, letter_id)
        if isinstance(wish, LetterRepair) and letter.kind == NOTIFICATION_LETTER:
            raise Conflict("what a notification is about is known; replay it, or drop it")
        if isinstance(wish, LetterRepair):
            _check_fits(services, letter, wish.target())
            await dead_letters.aim(connection, letter_id, wish.target())
            letter = letter.model_copy(update=wish.target().model_dump())
        await dead_letters.record(connection, action)
    if letter.kind == NOTIFICATION_LETTER:
        return await _tell_again(services, letter, action)
    return await _hand_over(services, letter, action)


async def _tell_again(services: Services, letter: DeadLetter, action: LetterAction) -> Answer:
    """If no vendor takes it this time either, there is a new letter a day later."""
    assert letter.subject is not None, "the letter of a notification names it"
    await tell_again(services, letter.subject)
    async with services.database.transaction() as connection:
        await dead_letters.settle(connection, letter.letter_id, "resolved")
        await dead_letters.record(connection, _line(action, "closed"))
        return await _shown(connection, letter.letter_id)


async def _hand_over(services: Services, letter: DeadLetter, action: LetterAction) -> Answer:
    handing_over = HandingOver(
        services.database, services.valkey, services.vendors, services.temporal, services.settings.flights
    )
    try:
        failure = await handing_over.deliver(InboxMessage.of(letter))
    except Away as error:
        raise ServiceUnavailable("it cannot be handed over now; try again with the same key") from error
    async with services.database.transaction() as connection:
        if failure is None:
            await dead_letters.settle(connection, letter.letter_id, "resolved")
            await dead_letters.record(connection, _line(action, "closed"))
        else:
            await dead_letters.failed_again(connection, letter.letter_id, failure)
            await dead_letters.record(connection, _line(action, "refused"))
        return await _shown(connection, letter.letter_id)


async def _waiting(connection: AsyncConnection, letter_id: str) -> DeadLetter:
    """Locked. Raises NotFound or Conflict."""
    letter = await dead_letters.get(connection, letter_id, lock=True)
    if letter is None:
        raise NotFound("there is no such dead letter", field="dead_letter_id")
    if letter.status != "waiting":
        raise Conflict(f"the dead letter is {letter.status}", code="dead_letter_settled")
    if letter.kind not in (WEBHOOK, NOTIFICATION_LETTER):
        raise Conflict("only another release can deal with this kind of letter")
    return letter


def _check_fits(services: Services, letter: DeadLetter, target: Target) -> None:
    """A payment provider tells of payments, a supplier of something of its own."""
    try:
        services.vendors.notifying(letter.vendor)
        fits = target.subject is not None
    except KeyError:
        fits = target.subject is None
    if not fits:
        field = next(iter(target.model_dump(exclude_none=True)))
        raise refusal("invalid_request", "that is nothing this vendor tells of", f"/{field}")


async def _shown(connection: AsyncConnection, letter_id: str) -> Answer:
    letter = await dead_letters.get(connection, letter_id)
    assert letter is not None, "dead letters are never deleted"
    return Answer(200, DeadLetterView.of(letter))


def _action(letter_id: str, client: ApiClient, wish: Wish, key: str) -> LetterAction:
    names = {LetterReplay: "replay", LetterRepair: "repair", LetterDrop: "drop"}
    said = wish.target().model_dump(exclude_none=True) if isinstance(wish, LetterRepair) else {}
    return LetterAction.model_validate(
        {
            "letter_id": letter_id,
            "kind": "decided",
            # Must merge: repeats of this request. Must not merge: the same key used for another letter, after it was let go.
            "key": update_id_for(f"{names[type(wish)]}-{letter_id}", client.client_id, key),
            "operator": client.name,
            "action": names[type(wish)],
            "reference": next(iter(said.values()), None),
            "note": wish.note,
        }
    )


def _line(action: LetterAction, kind: str) -> LetterAction:
    return LetterAction.model_validate(action.model_dump() | {"kind": kind, "key": f"{action.key}:{kind}"})
