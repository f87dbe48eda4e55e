"""What is done in a scenario beside searching and booking: by the traveller, by an operator, or by whoever breaks things.

An act begins when the trip has been asked for, and leaves a booking that only has to be followed to its end.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from sandbox.demo_answers import Effect, NextAction
from sandbox.demo_client import DemoError, until
from sandbox.demo_flight_acts import cancel_flight, delay_flight
from sandbox.demo_run import AskedPayer, KilledAt, Run
from sandbox.demo_scenarios import Act
from sandbox.demo_stage import STEP_WITHIN_S, Stage
from schema.money import Money
from schema.states import CONFIRMED_STATES, BookingState, PaymentState

OPERATOR_NOTE: Final = "Stripe's own books show it; look once more"
_WORKER: Final = "worker"
_GIVES_UP_WITHIN_S: Final = 60
"""Three keys, each with its tries and pauses: 8 s where nothing else runs."""

Acting = Callable[[Stage, Run, str], Awaitable[None]]


async def nothing_more(_stage: Stage, _run: Run, _booking_id: str) -> None:
    """The trip needs nobody."""


async def kill_worker(stage: Stage, run: Run, booking_id: str) -> None:
    """Once the first hold is in a supplier's ledger, while the second is still being asked for."""
    vendors, log = stage.lines.vendors, stage.stack.state.logs / "worker.log"

    async def look() -> list[Effect] | None:
        ledger = await vendors.ledger(booking_id)
        return ledger if any(effect.type.endswith(".held") for effect in ledger) else None

    run.doing = "waiting for the first hold"
    await until(look, what="the first hold in a supplier's ledger", within_s=STEP_WITHIN_S, log=log)
    stage.stack.kill(_WORKER)
    run.did("kills the worker with SIGKILL")
    booking = await stage.lines.traveller.booking(booking_id)
    run.state = booking.state
    ledger = await vendors.ledger(booking_id)
    await stage.stack.wait_restarted(_WORKER, timeout_s=STEP_WITHIN_S)
    effects = tuple(effect.type for effect in ledger)
    run.killed_at = KilledAt(booking.state, effects, stage.stack.starts(_WORKER))
    run.did("sees the worker come back")
    stage.worker_is_back.set()


async def accept_price(stage: Stage, run: Run, booking_id: str) -> None:
    """The traveller is asked for more than was agreed to, and agrees."""
    waiting = frozenset({BookingState.PRICE_CHANGED})
    run.waited_with = booking = await stage.follow(run, booking_id, waiting)
    run.did(f"is asked for {booking.total}, having agreed to {booking.consent_limit} at most; accepts")
    await stage.lines.traveller.accept_price(booking_id, booking.total, f"{run.scenario.key}-accepts")


async def pay_at_paypal(stage: Stage, run: Run, booking_id: str) -> None:
    """The payer follows the link of the API's answer and approves."""
    page = (await _when_asked(stage, run, booking_id)).approval_url
    if page is None:
        raise DemoError("the API names no page of PayPal's")
    run.did(f"is sent to PayPal's page {page}, and presses Pay")
    await stage.lines.vendors.approve_at_paypal(page)


async def authenticate_card(stage: Stage, run: Run, booking_id: str) -> None:
    """The traveller's app hands the secret of the API's answer to Stripe's library, and the bank is told yes."""
    secret = (await _when_asked(stage, run, booking_id)).client_secret
    if secret is None:
        raise DemoError("the API hands out no secret for Stripe's library")
    run.did("is handed the secret for Stripe's library, and authenticates the card with the bank")
    await stage.lines.vendors.authenticate_card(secret)


async def cancel(stage: Stage, run: Run, booking_id: str) -> None:
    """The traveller has the trip, asks what giving it up costs, and accepts that by its token."""
    await stage.follow(run, booking_id, CONFIRMED_STATES)
    traveller, key = stage.lines.traveller, run.scenario.key
    run.did("has the trip, and asks what cancelling it costs")
    run.quoted = quoted = await traveller.cancellation_fee(booking_id, f"{key}-asks")
    run.did(f"is told: {quoted.fee} are kept, {quoted.refund} come back; accepts with the token")
    await traveller.cancel(booking_id, quoted.token, f"{key}-accepts")
    await stage.follow(run, booking_id, frozenset({run.scenario.ends}), passing=CONFIRMED_STATES)


async def ask_desk(stage: Stage, run: Run, booking_id: str) -> None:
    """The saga gives up asking; an operator reads the case, looks at the provider, and lets the saga look again."""
    operator, key = stage.lines.operator, run.scenario.key
    doubted = frozenset({BookingState.NEEDS_OPERATOR})
    run.doing = "waiting until the saga has used up its ways of finding out"
    await stage.follow(run, booking_id, doubted, _GIVES_UP_WITHIN_S)
    opened = next((case for case in await operator.cases() if case.booking_id == booking_id), None)
    if opened is None:
        raise DemoError(f"booking {booking_id} needs an operator, and the desk has no case of it")
    run.case = case = await operator.case(opened.case_id)
    outstanding = ", ".join(f"{effect.step} at {effect.vendor}, {effect.amount}" for effect in case.effects)
    run.did(f"as operator opens the case ({case.reason}); outstanding: {outstanding}")
    await _mend(stage, run)
    taken = ", ".join(
        str(Money(amount_minor=payment.captured_minor, currency=payment.currency))
        for payment in (await stage.lines.vendors.books(booking_id)).payments
    )
    run.did(f"as operator looks at Stripe, which makes sense again and shows {taken} taken; decides: retry")
    await operator.resolve(case.case_id, "retry", OPERATOR_NOTE, f"{key}-decides")
    await stage.follow(run, booking_id, frozenset({run.scenario.ends}), passing=doubted)
    run.resolved = await operator.case(case.case_id)


async def _when_asked(stage: Stage, run: Run, booking_id: str) -> NextAction:
    """Until the API's answers say that the payer must act, and with what; noted with what the vendors had done by then."""
    traveller, vendors = stage.lines.traveller, stage.lines.vendors

    async def look() -> AskedPayer | None:
        booking = await traveller.booking(booking_id)
        run.state = booking.state
        if [payment.state for payment in booking.payments] != [PaymentState.ACTION_REQUIRED]:
            return None
        payment = await traveller.payment(booking.payments[0].payment_id)
        if payment.next_action is None:
            return None
        effects = tuple(effect.type for effect in await vendors.ledger(booking_id))
        return AskedPayer(booking, payment.next_action, effects)

    log = stage.stack.state.logs / "worker.log"
    run.asked_payer = await until(look, what="the payer to be asked", within_s=STEP_WITHIN_S, log=log)
    return run.asked_payer.action


async def _mend(stage: Stage, run: Run) -> None:
    """The scenario's rule is taken out of the plan; what it has done by then is kept."""
    vendors = stage.lines.vendors
    run.mended = next((rule for rule in await vendors.planned() if rule.id == run.fault_id), None)
    if run.mended is not None:
        await vendors.mend(run.mended.id)


ACTS: Final[Mapping[Act, Acting]] = {
    "books": nothing_more,
    "kills_worker": kill_worker,
    "accepts_price": accept_price,
    "pays_at_paypal": pay_at_paypal,
    "authenticates_card": authenticate_card,
    "cancels": cancel,
    "asks_desk": ask_desk,
    "delays_flight": delay_flight,
    "cancels_flight": cancel_flight,
}
