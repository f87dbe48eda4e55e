"""Deciding a review case: its line in the desk's record, the two-person rule, and the word to the workflow that waits."""

import hashlib

from sqlalchemy.ext.asyncio import AsyncConnection

from api.desk_models import CaseResolution
from api.desk_views import CaseDecision, sums_of
from api.idempotency import Answer
from api.problems import refusal
from api.services import Services
from api.temporal import WorkflowGone, send_update, update_id_for
from schema.bookings import Accepted, OutstandingEffect, Resolution
from schema.errors import ClientError, Conflict, NotFound
from schema.settings import DeskSettings
from schema.states import BookingState
from store import bookings, cases, desk
from store.cases import StoredCase
from store.clients import ApiClient
from store.desk import DeskAction, NewAction


async def decide(services: Services, client: ApiClient, case_id: str, wish: CaseResolution, key: str) -> Answer:
    """Hands the decision to the workflow, or keeps it as a proposal where a second operator is needed.

    Raises NotFound, or Conflict (`case_not_open`, `second_person_needed`, or the workflow's own refusal).
    """
    # Must merge: repeats of this request, also after its Idempotency-Key was let go. Must not merge: another decision or case.
    digest = hashlib.sha256(f"{case_id}\n{wish.model_dump_json()}".encode()).hexdigest()
    request_key = update_id_for(f"resolve-{digest[:16]}", client.client_id, key)
    async with services.database.transaction() as connection:
        case = await _open_case(connection, case_id)
        action = await desk.by_key(connection, request_key)
        if action is None:
            new = NewAction(
                case_id=case_id,
                kind="decided",
                key=request_key,
                operator=client.name,
                action=wish.action,
                reference=wish.reference,
                provider_reference=wish.provider_reference,
                note=wish.note,
            )
            action = await _record(connection, case, new, services.settings.desk)
    if action.kind == "proposed":
        return Answer(202, _decision(case, "proposed", "proposed; another operator must send the same write-off"))
    return await _send(services, case, action)


async def _open_case(connection: AsyncConnection, case_id: str) -> StoredCase:
    """Locked, so that of two operators who write off at once one proposes and the other agrees."""
    case = await cases.get(connection, case_id, lock=True)
    if case is None:
        raise NotFound("there is no such case", field="case_id")
    if case.resolved_at is not None:
        raise Conflict("the case is resolved", code="case_not_open")
    return case


async def _record(connection: AsyncConnection, case: StoredCase, new: NewAction, rules: DeskSettings) -> DeskAction:
    """As a decision, as a proposal, or as one operator's decision on another's proposal."""
    lasts_s: float | None = None
    if new.action == "write_off":
        written_off = _named(case, new.reference)
        # An effect that is alone in its case may go without its name, and is the same effect then.
        new = new.model_copy(update={"reference": written_off[0].reference if written_off else None})
        if _needs_two(written_off, rules):
            proposal = (await desk.proposals(connection, [case.case_id])).get(case.case_id)
            if proposal is None or proposal.reference != new.reference:
                new, lasts_s = new.model_copy(update={"kind": "proposed"}), rules.write_off_proposal_ttl_s
            elif proposal.operator == new.operator:
                raise Conflict("you have proposed this; another operator must agree", code="second_person_needed")
            else:
                new = new.model_copy(update={"proposed_by": proposal.operator})
    await desk.append(connection, new, lasts_s=lasts_s)
    written = await desk.by_key(connection, new.key)
    assert written is not None, "a line that was just written is there"
    return written


def _named(case: StoredCase, reference: str | None) -> list[OutstandingEffect]:
    """What a decision is about. The workflow says the same, but hears of a proposal only when it is agreed to."""
    meant = [effect for effect in case.effects if reference in (None, effect.reference)]
    if (reference is None and len(meant) > 1) or (reference is not None and not meant):
        raise refusal("effect_not_named", "name one of the case's effects", "/reference")
    return meant


def _needs_two(written_off: list[OutstandingEffect], rules: DeskSettings) -> bool:
    if any(effect.amount is None for effect in written_off):
        return True
    limits = rules.write_off_two_person_above_minor
    return any(amount.amount_minor > limits.get(amount.currency, -1) for amount in sums_of(written_off))


async def _send(services: Services, case: StoredCase, action: DeskAction) -> Answer:
    by = action.operator if action.proposed_by is None else f"{action.proposed_by} and {action.operator}"
    decided = action.model_dump(include={"case_id", "action", "reference", "provider_reference", "note"})
    try:
        accepted = await send_update(
            services.temporal,
            case.workflow_id,
            "resolve",
            Resolution(**decided, operator=by),
            update_id=action.key,
            result=Accepted,
        )
    except WorkflowGone:
        await _refused(services, action)
        raise Conflict("the workflow of this case has ended", code="case_not_open") from None
    except ClientError:
        await _refused(services, action)
        raise
    if accepted is not None:
        return Answer(200, _decision(case, accepted.state, accepted.message))
    async with services.database.read() as connection:
        progress = await bookings.progress(connection, case.booking_id)
    state = progress.state if progress else BookingState.NEEDS_OPERATOR
    return Answer(202, _decision(case, state.value, "accepted; the booking is being worked on"))


async def _refused(services: Services, action: DeskAction) -> None:
    line = action.model_dump(include=set(NewAction.model_fields))
    refused = NewAction.model_validate({**line, "kind": "refused", "key": f"{action.key}:refused"})
    async with services.database.transaction() as connection:
        await desk.append(connection, refused)


def _decision(case: StoredCase, state: str, message: str) -> CaseDecision:
    return CaseDecision.model_validate(
        {"case_id": case.case_id, "booking_id": case.booking_id, "state": state, "message": message}
    )
