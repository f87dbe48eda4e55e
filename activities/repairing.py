"""Repairs: a second look at a booking, letting go of what nobody wants, and saying what became of what was found."""

from temporalio import activity
from temporalio.client import Client
from temporalio.service import RPCError

from activities.abandoned import Abandoned, Ending
from activities.admission import booking_input, item_plan
from activities.failures import told_to_temporal
from activities.proving import Proving
from activities.running import at_work
from activities.second_look import Known, Left, SecondLook
from gateways.ports import PaymentRequest, Vendors
from schema.bookings import SagaContext, SagaPolicy, workflow_id_for
from schema.errors import OutcomeUnclear, ServiceUnavailable
from schema.outcomes import Confirmed, Rejected
from schema.reconciliation import (
    Concluded,
    ExamineBooking,
    Examined,
    ItemLeft,
    StrayAuthorisation,
)
from schema.references import step_key
from schema.states import BookingState, PaymentState
from store import attempts, bookings, cases, payments, reconciled, reconciliation, superseded
from store.attempts import NewAttempt
from store.cases import StoredCase
from store.database import Database

_RETRY_INITIAL_S = 0.2
LOST = "workflow_lost"
"""Why a booking has ended that its workflow has left."""


class Repairing:
    def __init__(self, database: Database, vendors: Vendors, client: Client, policy: SagaPolicy) -> None:
        """`policy`: what sagas run under."""
        self._database = database
        self._vendors = vendors
        self._client = client
        self._policy = policy

    @activity.defn
    async def examine(self, asked: ExamineBooking) -> Examined:
        """Looks again, at the vendors themselves, puts our books right where theirs prove it, and says what is left to do. Nothing
        is changed at a vendor."""
        async with told_to_temporal(asked.retry_initial_s):
            known, opened = await self._known(asked)
            orphaned = [case for case in opened if case.resolved_at is None]
            booking = known.booking
            examined = Examined(decision="aside", state=BookingState.FAILED, version=0, cases=self._cases(opened))
            if booking is not None:
                if await self._is_worked_on(asked.booking_id):
                    return examined.model_copy(update={"decision": "moving", "state": booking.state})
                context = booking_input(booking, self._vendors, self._policy).model_copy(
                    update={"version": booking.version}
                )
                examined = examined.model_copy(
                    update={
                        "state": booking.state,
                        "version": booking.version,
                        "context": SagaContext.model_validate(context.model_dump()),
                        "reason": LOST,
                    }
                )
            look = SecondLook(self._vendors, Proving(self._database), known)
            if booking is None or known.settled:
                left, ending = await look.look(), Ending(decision="aside")
            else:
                ending, left = await self._abandoned(look, known)
            if asked.first:
                await self._unfounded(known, left)
            return examined.model_copy(
                update={
                    **ending.model_dump(include={"decision", "ends_as", "going_on"}),
                    "total": ending.total,
                    "orphaned_cases": [case.case_id for case in orphaned],
                    "payments": left.payments,
                    "items": left.items,
                    "authorisations": left.authorisations,
                    "for_people": left.for_people,
                }
            )

    @activity.defn
    async def release_stray(self, stray: StrayAuthorisation) -> None:
        """Lets go of what is reserved. Fails for as long as the provider does not say that it is; voiding twice is voiding once."""
        async with told_to_temporal(stray.retry_initial_s):
            tries = activity.info().attempt
            if stray.known:
                tries = await self._announce(stray)
            outcome = await self._vendors.payments(stray.vendor).void(
                PaymentRequest(
                    # As every void: the provider replays a stored 500 under a repeated key.
                    idempotency_key=f"{_stray_key(stray)}:{tries}",
                    booking_id=stray.booking_id,
                    payment_id=stray.payment_id or "",
                    amount=stray.amount,
                    provider_reference=stray.provider_reference,
                    correlation_id=stray.correlation_id,
                )
            )
            if stray.known:
                async with self._database.transaction() as connection:
                    await attempts.finish(connection, _stray_key(stray), outcome)
            if isinstance(outcome, Rejected):
                if outcome.code == "already_captured":
                    return  # the next look finds the money
                raise OutcomeUnclear(f"{stray.vendor} would not let go of {stray.provider_reference}: {outcome.code}")
            if not isinstance(outcome, Confirmed):
                raise OutcomeUnclear(f"{stray.vendor} did not say whether {stray.provider_reference} was let go of")
            if stray.known and stray.payment_id is not None:
                await self._let_go_of_in_our_books(stray.payment_id, stray.provider_reference)

    @activity.defn
    async def conclude(self, concluded: Concluded) -> None:
        """What became of what was found."""
        async with told_to_temporal(_RETRY_INITIAL_S), self._database.transaction() as connection:
            if concluded.outcome == "settled":
                await reconciliation.settle(connection, concluded.booking_id)
            else:
                await reconciliation.conclude(connection, concluded.booking_id, concluded.outcome, concluded.ids)

    async def _known(self, asked: ExamineBooking) -> tuple[Known, list[StoredCase]]:
        booking_id = asked.booking_id
        async with self._database.transaction() as connection:
            booking = await bookings.get(connection, booking_id)
            opened = await cases.of_booking(connection, booking_id)
            findings = await reconciliation.open_of(connection, booking_id)
            items = {} if booking is None else {(item.item_no, item.generation): item for item in booking.items}
            items |= await superseded.of_booking(connection, booking_id)
            travellers = [] if booking is None else (await bookings.travellers_of(connection, booking_id))[0]
            known = Known(
                booking_id=booking_id,
                booking=booking,
                payments=await payments.of_booking(connection, booking_id),
                items=items,
                travellers=travellers,
                decided=_decided(opened),
                findings=findings,
                step_timeout_s=self._policy.step_timeout_s,
                retry_initial_s=asked.retry_initial_s,
            )
        return known, opened

    async def _is_worked_on(self, booking_id: str) -> bool:
        async with self._database.read() as connection:
            others = await reconciled.may_work_on(connection, booking_id)
        try:
            return await at_work(self._client, [workflow_id_for(booking_id), *others])
        except RPCError as error:
            raise ServiceUnavailable("Temporal cannot be asked who works on the booking") from error

    async def _abandoned(self, look: SecondLook, known: Known) -> tuple[Ending, Left]:
        async with self._database.transaction() as connection:
            events = await bookings.events_of(connection, known.booking_id)
            claimed = await reconciled.may_work_on(connection, known.booking_id)
        items = [
            ItemLeft(plan=item_plan(item, self._vendors, self._policy.step_timeout_s))
            for _, item in sorted(known.items.items())
        ]
        return await Abandoned(look, known, events, claimed, items).end()

    async def _unfounded(self, known: Known, left: Left) -> None:
        """What the second look has not seen was gone, or is what an operator has decided."""
        async with self._database.transaction() as connection:
            for finding in known.findings:
                ids = {finding.object_id, finding.reference or finding.object_id}
                abandoned = finding.kind == "workflow_gone" and not known.settled
                if abandoned or (ids & left.seen and not ids & left.decided):
                    continue
                outcome = "settled" if ids & left.decided else "unfounded"
                await reconciliation.conclude(connection, known.booking_id, outcome, sorted(ids))

    def _cases(self, opened: list[StoredCase]) -> int:
        return sum(case.workflow_id.startswith("repair-") for case in opened)

    async def _announce(self, stray: StrayAuthorisation) -> int:
        """Nobody may reserve it again from here on; and the attempt, written before the call. Returns how often it was tried."""
        generation = int((stray.payment_id or "0")[-1], 36)
        async with self._database.transaction() as connection:
            if stray.payment_id is not None and stray.payment_id[:-1] == f"pay_{stray.booking_id}":
                await attempts.tombstone(
                    connection, _attempt(stray, "authorise", step_key(stray.booking_id, "authorise", generation))
                )
            attempt = await attempts.begin(connection, _attempt(stray, "void", _stray_key(stray)))
        return attempt.tries + 1

    async def _let_go_of_in_our_books(self, payment_id: str, provider_reference: str) -> None:
        async with self._database.transaction() as connection:
            stored = await payments.get(connection, payment_id, lock=True)
            ours = stored is not None and stored.provider_reference in (None, provider_reference)
            if ours and stored is not None and stored.state not in (PaymentState.CAPTURED, PaymentState.REFUNDED):
                await payments.voided(connection, payment_id)


def _attempt(stray: StrayAuthorisation, step: str, key: str) -> NewAttempt:
    return NewAttempt(
        key=key,
        booking_id=stray.booking_id,
        step=step,
        item_no=None,
        generation=int((stray.payment_id or "0")[-1], 36),
        vendor=stray.vendor,
        reference=stray.payment_id or stray.provider_reference,
        request_hash=stray.provider_reference.encode(),
    )


def _stray_key(stray: StrayAuthorisation) -> str:
    """Must merge every try to let go of this one object; it is of no step that any saga takes."""
    return step_key(stray.booking_id, f"void-stray-{stray.provider_reference}", 0)


def _decided(opened: list[StoredCase]) -> frozenset[tuple[str, str]]:
    """What operators have said no machine is to touch again; to try again decides nothing."""
    return frozenset(
        (effect.step, effect.reference)
        for case in opened
        if case.resolution is not None and case.resolution.action != "retry"
        for effect in case.effects
        if case.resolution.reference in (None, effect.reference)
    )
