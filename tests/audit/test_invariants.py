"""Each checker is itself checked: a consistent world has no violation, and a planted bug is found by its checker."""

from datetime import timedelta

import pytest

from store.audit import AuditedEvent
from tests.audit import planted_notices  # noqa: F401  # plants its bugs when it is read
from tests.audit.books import FAILED, HAPPY, NOW, STUCK, World, consistent_world, order, pay
from tests.audit.leaks import LEAKED, LEAKS, leak
from tests.audit.planted import ALSO, PLANTED
from workers.audit import INVARIANTS, audit, check
from workers.audit.evidence import Unseen


def test_a_consistent_world_has_no_violation():
    report = check(consistent_world().evidence())
    assert report.violations == []
    assert report.holds


def test_every_check_looks_at_something():
    assert [finding.number for finding in check(consistent_world().evidence()).findings if not finding.checked] == []


async def test_audit_is_check_beside_the_event_loop():
    evidence = consistent_world().evidence()
    assert await audit(evidence) == check(evidence)


def test_every_invariant_has_a_planted_bug():
    numbers = {finding.number for finding in check(consistent_world().evidence()).findings}
    assert len(numbers) == len(INVARIANTS)
    alone = {number for name, (number, _) in PLANTED.items() if not ALSO[name]}
    assert alone | {18} == numbers, "each has a bug that no other checker finds"


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_bug_is_found_by_its_checker(name):
    world = consistent_world()
    number, bug = PLANTED[name]
    bug(world)
    report = check(world.evidence())
    assert report.broken() == {number} | ALSO[name], [violation.text for violation in report.violations]


@pytest.mark.parametrize("name", LEAKED)
def test_a_planted_leak_is_found(name):
    world = consistent_world()
    LEAKED[name](world)
    assert check(world.evidence()).broken() == {18}


@pytest.mark.parametrize("kind", ["a card number", "an e-mail address", "a telephone number", "a field"])
def test_a_note_about_what_is_in_no_booking_is_read_too(kind):
    world = consistent_world()
    world.change("notes", {"text": LEAKS[kind]}, booking_id=None)
    (violation,) = check(world.evidence()).violations
    assert (violation.invariant, violation.booking_id) == (18, None)
    assert "dl_1" in violation.text


def test_a_finding_never_shows_what_is_personal():
    for kind, text in LEAKS.items():
        world = consistent_world()
        leak("cases", text)(world)
        for violation in check(world.evidence()).violations:
            assert "Earhart" not in violation.text, kind
            assert "4242" not in violation.text, kind


@pytest.mark.parametrize(
    "text",
    [
        "7201234567890 of Rapid",
        f"key {HAPPY}:authorise:0",
        "1893456000000000",
        "2030-05-01T12:00:00.000000+00:00",
        "Grand Hotel Lisboa",
        "4242424242424241",
        "0.4242424242424242",
    ],
)
def test_what_only_looks_personal_is_no_violation(text):
    world = consistent_world()
    leak("cases", text)(world)
    assert check(world.evidence()).violations == []


def test_a_name_that_is_a_word_of_the_trip_is_no_violation():
    world = consistent_world()
    world.travellers[0] = (HAPPY, [{"given_name": "Ana", "family_name": "Lisboa"}])
    leak("events", "sold out: Grand Hotel Lisboa")(world)
    assert check(world.evidence()).violations == []


# ------------------------------------------------------------------------------- what is no violation, or not looked at


def test_what_is_still_on_its_way_is_not_judged_against_the_vendors():
    world = consistent_world()
    world.change("reservations", {"status": "cancelled"}, object_id=order(HAPPY, 1))
    world.change("vendor_payments", {"captured_minor": 0}, booking_id=HAPPY)
    assert check(world.evidence(in_motion=frozenset({HAPPY}))).broken() <= {19}


def test_a_late_effect_of_what_was_left_out_has_its_time():
    world = consistent_world()
    PLANTED["an_item_that_was_left_out_is_there_long_after_its_undo"][1](world)
    world.change("attempts", {"tombstoned_at": NOW - timedelta(seconds=5)}, booking_id=HAPPY, item_no=2)
    assert check(world.evidence()).violations == []


def test_what_an_operator_wrote_off_is_borne_and_told():
    world = consistent_world()
    _stray_after_decision(world, "write_off")
    report = check(world.evidence())
    assert report.holds
    assert {finding.number for finding in report.findings if finding.excused} == {4}


def test_what_an_operator_settled_by_hand_must_be_gone():
    world = consistent_world()
    _stray_after_decision(world, "settled_by_hand")
    assert check(world.evidence()).broken() == {4}


def test_what_an_operator_wrote_off_is_only_what_was_named():
    world = consistent_world()
    _stray_after_decision(world, "write_off", pay(STUCK))
    assert check(world.evidence()).broken() == {4, 12}


def _stray_after_decision(world: World, action: str, reference: str | None = None) -> None:
    """The stuck booking has failed by an operator's decision, and its hotel is still there."""
    world.change("bookings", {"state": "FAILED", "version": 6, "waiting_for": None}, booking_id=STUCK)
    world.events += [AuditedEvent(STUCK, 5, "COMPENSATING", {}), AuditedEvent(STUCK, 6, "FAILED", {})]
    world.change(
        "cases", {"resolved_at": NOW, "resolution": {"action": action, "reference": reference}}, booking_id=STUCK
    )


def test_what_a_vendor_does_not_show_is_not_judged():
    world = consistent_world()
    world.reservations.remove(next(line for line in world.reservations if line.object_id == order(HAPPY, 2)))
    world.effects.remove(next(effect for effect in world.effects if effect.type == "car.booked"))
    assert check(world.evidence()).broken() == {1, 12}
    unseen = [Unseen(HAPPY, "duffel_cars", "finds bookings by their id only", 2)]
    assert check(world.evidence(unseen=unseen)).violations == []


def test_without_a_ledger_the_books_are_still_compared():
    world = consistent_world()
    report = check(world.evidence(effects=None))
    assert report.holds
    assert [finding.number for finding in report.findings if finding.not_checked] == [7]
    world.change("reservations", {"status": "confirmed"}, object_id=order(FAILED, 1))
    assert check(world.evidence(effects=None)).broken() == {4}


def test_bookings_that_no_vendor_was_asked_about_are_judged_by_our_books_alone():
    world = consistent_world()
    world.reservations.clear()
    world.vendor_payments.clear()
    assert check(world.evidence(effects=None, seen=frozenset())).violations == []


def test_strangers_are_only_looked_for_in_the_whole():
    world = consistent_world()
    PLANTED["a_supplier_has_a_reservation_of_nobody"][1](world)
    assert check(world.evidence(whole=False)).violations == []


@pytest.mark.parametrize(("since_s", "broken"), [(-1, set()), (1, {9})])
def test_what_was_told_while_the_vendors_books_were_read_is_not_missed_in_them(since_s: int, broken: set[int]):
    world = consistent_world()
    world.messages = [one for one in world.messages if one.notification_id != "ntf_email"]
    tried = [{"at": NOW.isoformat(), "vendor": "sendgrid", "ended": "confirmed"}]
    world.change("notices", {"attempts": tried}, notification_id="ntf_email")
    assert check(world.evidence(vendors_read_at=NOW + timedelta(seconds=since_s))).broken() == broken
