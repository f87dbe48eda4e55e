"""Bugs to plant into a consistent world: each must make one checker fail, and no other wherever the bug can be told apart."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from schema.references import booking_id_for, item_reference
from store.audit import AuditedEvent
from tests.audit.books import CANCELLED, CLIENT, EUR, FAILED, HAPPY, MOVING, NOW, STUCK, World, intent, order, pay, ref
from workers.audit.evidence import VendorPayment, VendorReservation, WorkflowAnswer

PLANTED: dict[str, tuple[int, Callable[[World], object]]] = {}
ALSO: dict[str, set[int]] = {}
"""Other invariants that the same bug breaks as well."""


def plant(number: int, *also: int) -> Callable[[Callable[[World], object]], Callable[[World], object]]:
    def keep(bug: Callable[[World], object]) -> Callable[[World], object]:
        name = bug.__name__.strip("_")
        assert name not in PLANTED
        PLANTED[name] = (number, bug)
        ALSO[name] = set(also)
        return bug

    return keep


# ---------------------------------------------------------------------------------------------------------- money


@plant(1)
def _the_traveller_paid_more_than_the_suppliers_confirmed(world: World):
    """In our books, the provider's and the ledger alike: only the suppliers' prices tell."""
    world.change("payments", {"captured_minor": 30400}, booking_id=HAPPY)
    world.change("vendor_payments", {"captured_minor": 30400}, booking_id=HAPPY)
    world.change("entries", {"amount_minor": 30400}, booking_id=HAPPY, account="receivable:stripe")
    world.change("entries", {"amount_minor": -30400}, booking_id=HAPPY, account="customers")
    world.change("effects", {"amount_minor": 30400}, type="payment.captured", object_id=intent(HAPPY))
    world.change("answers", {"captured_minor": 30400}, booking_id=HAPPY)


@plant(1, 12)
def _a_supplier_confirmed_in_another_currency(world: World):
    world.change("reservations", {"currency": "USD"}, object_id=order(HAPPY, 1))


@plant(2)
def _the_traveller_paid_more_than_the_disclosed_fee(world: World):
    world.change("bookings", {"fee_minor": 2000}, booking_id=CANCELLED)
    world.change("answers", {"fee_minor": 2000}, workflow_id=f"cancel-{CANCELLED}-3")


@plant(2)
def _the_card_of_a_failed_trip_is_still_reserved(world: World):
    world.change("vendor_payments", {"authorisation_open": True}, booking_id=FAILED)


@plant(2, 12)
def _a_refund_has_not_arrived_though_the_booking_is_cancelled(world: World):
    world.change("vendor_payments", {"refunded_minor": 0, "refund_pending_minor": 12500}, booking_id=CANCELLED)


@plant(3)
def _more_was_taken_than_agreed(world: World):
    world.change("bookings", {"consent_limit_minor": 29999}, booking_id=HAPPY)


@plant(3)
def _more_was_taken_than_reserved_for_a_moment(world: World):
    world.change("effects", {"amount_minor": 29999}, type="payment.authorised", object_id=intent(HAPPY))


@plant(3)
def _more_was_given_back_than_taken_for_a_moment(world: World):
    world.change("effects", {"amount_minor": 15001}, type="payment.refunded", object_id=intent(CANCELLED))


@plant(3)
def _more_is_on_its_way_back_than_was_taken(world: World):
    world.change("vendor_payments", {"refund_pending_minor": 2501}, booking_id=CANCELLED)


@plant(20)
def _an_effect_has_no_counter_entry(world: World):
    world.entries.remove(
        next(entry for entry in world.entries if entry.booking_id == HAPPY and entry.account == "customers")
    )


@plant(20)
def _the_ledger_balances_and_tells_another_story(world: World):
    world.change("entries", {"amount_minor": 12000}, effect_key=world.refunds[0].key, account="customers")
    world.change("entries", {"amount_minor": -12000}, effect_key=world.refunds[0].key, account="receivable:stripe")


@plant(20)
def _an_authorisation_was_never_let_go_of_in_the_ledger(world: World):
    world.entries = [entry for entry in world.entries if entry.effect_key != f"{pay(FAILED)}:voided"]


@plant(20)
def _the_ledger_knows_a_payment_that_is_none(world: World):
    world.entries += [replace(entry, effect_key="x", payment_id="pay_x") for entry in world.entries[:2]]


# ------------------------------------------------------------------------------------------------------ inventory


@plant(4)
def _a_supplier_still_has_what_a_failed_booking_released(world: World):
    world.change("reservations", {"status": "confirmed"}, object_id=order(FAILED, 1))


@plant(4)
def _a_supplier_has_a_reservation_of_nobody(world: World):
    stray = booking_id_for(CLIENT, "never booked")
    world.reservations.append(
        VendorReservation("duffel", "flight", "ord_stray", ref(stray, 1), "confirmed", 1, EUR, NOW)
    )


@plant(4)
def _a_supplier_has_a_reservation_without_our_reference(world: World):
    world.reservations.append(VendorReservation("duffel", "flight", "ord_stray", None, "held", 1, EUR, NOW))


@plant(4)
def _two_suppliers_have_the_same_item(world: World):
    reference = item_reference(HAPPY, 1, 1)
    world.reservations.append(VendorReservation("amadeus", "flight", "eJ1", reference, "confirmed", 20000, EUR, NOW))


@plant(4)
def _an_item_that_was_left_out_is_there_long_after_its_undo(world: World):
    world.change("items", {"state": "LEFT_OUT", "required": False}, booking_id=HAPPY, item_no=2)
    world.change("attempts", {"tombstoned_at": world.tick()}, booking_id=HAPPY, item_no=2)
    world.change("bookings", {"state": "PARTIALLY_CONFIRMED"}, booking_id=HAPPY)
    world.change("events", {"state": "PARTIALLY_CONFIRMED"}, booking_id=HAPPY, version=3)
    world.change("answers", {"state": "PARTIALLY_CONFIRMED", "captured_minor": 20000}, booking_id=HAPPY)
    world.change("payments", {"captured_minor": 20000}, booking_id=HAPPY)
    world.change("vendor_payments", {"captured_minor": 20000}, booking_id=HAPPY)
    world.change("entries", {"amount_minor": 20000}, booking_id=HAPPY, account="receivable:stripe")
    world.change("entries", {"amount_minor": -20000}, booking_id=HAPPY, account="customers")


@plant(5)
def _two_orders_under_one_reference(world: World):
    """Both cancelled since, so that no other books tell of it."""
    first = next(line for line in world.reservations if line.object_id == order(FAILED, 1))
    world.reservations.append(replace(first, object_id="ord_second"))


@plant(5)
def _an_order_was_ticketed_twice(world: World):
    twice = next(effect for effect in world.effects if effect.type == "flight.ticketed")
    world.effects.append(replace(twice, seq=1000))


@plant(5)
def _a_payment_was_authorised_twice(world: World):
    """The second one has lapsed since, so that no other books tell of it."""
    world.vendor_payments.append(
        VendorPayment("stripe", "pi_2", HAPPY, pay(HAPPY), "canceled", 30500, 0, 0, 0, EUR, authorisation_open=False)
    )


@plant(5)
def _a_key_has_refunded_twice(world: World):
    """Half each, so that the sums are right."""
    refund = next(effect for effect in world.effects if effect.type == "payment.refunded")
    world.change("effects", {"amount_minor": 6250}, seq=refund.seq)
    world.effects.append(replace(refund, seq=1000, amount_minor=6250, details={"refund": "re_2"}))


@plant(6)
def _an_item_was_confirmed_after_it_had_been_forbidden(world: World):
    before = next(effect.at for effect in world.effects if effect.type == "flight.held") - timedelta(seconds=1)
    world.change("attempts", {"tombstoned_at": before}, booking_id=HAPPY, step="confirm", item_no=1)


@plant(6, 2)
def _a_payment_was_authorised_after_it_had_been_undone(world: World):
    early = NOW - timedelta(hours=2)
    world.change("attempts", {"tombstoned_at": early}, booking_id=FAILED, step="authorise")
    world.change("vendor_payments", {"authorisation_open": True}, booking_id=FAILED)


@plant(7)
def _money_was_taken_after_a_required_hold_had_ended(world: World):
    held = next(effect for effect in world.effects if effect.type == "flight.held")
    captured = next(effect for effect in world.effects if effect.type == "payment.captured")
    world.change("effects", {"seq": captured.seq - 0.5}, type="car.booked")
    world.effects.append(replace(held, seq=captured.seq - 0.25, type="flight.hold_expired"))


@plant(8)
def _a_confirmed_booking_rests_on_an_unknown_answer(world: World):
    world.attempts.append(replace(world.attempts[1], key="x", status="unknown", tombstoned_at=None, generation=1))


@plant(8)
def _an_item_is_confirmed_and_its_supplier_never_said_so(world: World):
    world.change("attempts", {"status": "rejected"}, booking_id=HAPPY, step="book", item_no=2)


@plant(8)
def _a_payment_is_captured_and_its_provider_never_said_so(world: World):
    world.change("attempts", {"status": "rejected"}, booking_id=HAPPY, step="capture")


@plant(8)
def _a_refund_is_taken_for_done_and_nobody_knows(world: World):
    world.change("attempts", {"status": "unknown"}, booking_id=CANCELLED, step="refund-cancellation-4")
    world.change("refunds", {"status": "pending"}, payment_id=pay(CANCELLED))


@plant(8, 4)
def _a_confirmed_booking_has_an_item_in_doubt(world: World):
    world.change("items", {"state": "IN_DOUBT"}, booking_id=HAPPY, item_no=1)


@plant(19)
def _a_supplier_cancelled_what_we_never_undid(world: World):
    world.change("attempts", {"tombstoned_at": None}, booking_id=STUCK, step="book")
    world.change("reservations", {"status": "cancelled"}, object_id=order(STUCK, 1))


@plant(19)
def _a_provider_voided_what_we_never_undid(world: World):
    world.change("attempts", {"tombstoned_at": None}, booking_id=FAILED, step="authorise")


@plant(19)
def _a_refund_has_a_key_that_is_not_ours(world: World):
    metadata = {"booking_id": CANCELLED, "payment_id": pay(CANCELLED), "key": "somebody else's"}
    world.change("effects", {"metadata": metadata}, type="payment.refunded")


# ------------------------------------------------------------------------------------------------------- progress


@plant(10)
def _a_booking_has_not_moved_and_waits_for_nobody(world: World):
    world.change("bookings", {"updated_at": NOW - timedelta(hours=1)}, booking_id=MOVING)


@plant(10)
def _a_booking_waits_beyond_its_own_deadline(world: World):
    late = NOW - timedelta(hours=2)
    world.change("bookings", {"updated_at": late, "waiting_for": "traveller: accept 310.00 EUR"}, booking_id=MOVING)


@plant(10)
def _nobody_works_on_a_booking_whose_workflow_has_died(world: World):
    world.answers.append(WorkflowAnswer(f"booking-{MOVING}", MOVING, running=False))


@plant(11)
def _an_operator_is_needed_and_has_no_case(world: World):
    world.cases.clear()


@plant(11)
def _a_case_does_not_name_a_reservation_that_is_left(world: World):
    world.change("cases", {"effects": []}, booking_id=STUCK)


@plant(11)
def _a_case_does_not_name_money_that_is_left(world: World):
    world.change("vendor_payments", {"authorisation_open": True}, booking_id=STUCK)


@plant(11)
def _a_failed_booking_has_left_its_case_open(world: World):
    world.cases.append(replace(world.cases[0], booking_id=FAILED, case_id="case_x"))


@plant(13)
def _a_booking_took_a_way_that_is_not_in_the_table(world: World):
    world.change("events", {"state": "CONFIRMED"}, booking_id=FAILED, version=2)


@plant(13)
def _a_booking_went_on_after_its_end(world: World):
    world.change("bookings", {"version": 5}, booking_id=FAILED)
    world.events.append(AuditedEvent(FAILED, 5, "FAILED", {}))


@plant(13)
def _a_booking_began_in_the_middle(world: World):
    world.change("events", {"state": "AWAITING_PAYMENT"}, booking_id=MOVING, version=0)


@plant(14)
def _the_fingerprint_of_a_request_is_missing(world: World):
    world.change("bookings", {"fingerprint": b""}, booking_id=HAPPY)


@plant(14)
def _one_key_has_made_two_bookings(world: World):
    world.change("bookings", {"idempotency_key": "happy"}, booking_id=MOVING)


# ------------------------------------------------------------------------------------------------------ agreement


@plant(12)
def _the_price_in_our_books_is_not_the_suppliers(world: World):
    world.change("items", {"price_minor": 19999}, booking_id=HAPPY, item_no=1)


@plant(12, 4)
def _our_books_name_another_order(world: World):
    world.change("items", {"provider_reference": "ord_other"}, booking_id=HAPPY, item_no=1)


@plant(12, 1, 19)
def _a_supplier_cancelled_a_confirmed_item(world: World):
    world.change("reservations", {"status": "cancelled"}, object_id=order(HAPPY, 1))


@plant(12)
def _the_versions_have_a_gap(world: World):
    world.events.remove(AuditedEvent(CANCELLED, 5, "REFUND_PENDING", {}))
    world.change("events", {"state": "CANCELLING"}, booking_id=CANCELLED, version=4)


@plant(12)
def _the_booking_is_not_in_the_state_of_its_last_event(world: World):
    world.change("bookings", {"state": "CANCELLED"}, booking_id=FAILED)


@plant(12)
def _an_item_is_still_held_in_a_booking_that_has_failed(world: World):
    world.change("items", {"state": "HELD"}, booking_id=FAILED, item_no=1)


@plant(12)
def _the_booking_is_confirmed_without_an_item(world: World):
    """The item is optional, was never made and never paid: only the state is wrong, which should say that it is left out."""
    item = replace(world.items[0], item_no=3, client_reference=ref(HAPPY, 3), provider_reference=None)
    world.items.append(replace(item, required=False, state="LEFT_OUT"))


@plant(12)
def _the_provider_knows_another_payment(world: World):
    world.change("payments", {"provider_reference": "pi_other"}, booking_id=HAPPY)


@plant(12, 3)
def _the_provider_reserved_less_than_our_books_say(world: World):
    world.change("vendor_payments", {"authorised_minor": 29000}, booking_id=HAPPY)


@plant(12)
def _the_provider_has_taken_money_for_a_booking_of_nobody(world: World):
    stray = booking_id_for(CLIENT, "never booked")
    world.vendor_payments.append(
        VendorPayment("stripe", "pi_9", stray, pay(stray), "succeeded", 5, 5, 0, 0, EUR, authorisation_open=False)
    )


@plant(12)
def _the_workflow_answered_otherwise(world: World):
    world.change("answers", {"state": "FAILED", "captured_minor": None}, booking_id=HAPPY)


@plant(12)
def _the_workflow_answered_another_amount(world: World):
    world.change("answers", {"captured_minor": 1}, booking_id=HAPPY)


@plant(12)
def _the_cancellation_answered_another_fee(world: World):
    world.change("answers", {"fee_minor": 1}, workflow_id=f"cancel-{CANCELLED}-3")
