"""Bugs in telling travellers, planted like those of `tests/audit/planted.py`."""

from dataclasses import replace
from datetime import timedelta

from tests.audit.books import NOW, World
from tests.audit.planted import plant
from workers.audit.evidence import VendorNotice


def _once_more(world: World, notification_id: str | None) -> None:
    world.messages.append(VendorNotice("sendgrid", "mail_again", notification_id, "delivered"))


@plant(9)
def _a_traveller_was_told_twice(world: World):
    _once_more(world, "ntf_email")


@plant(9)
def _a_safety_notice_was_told_three_times(world: World):
    _once_more(world, "ntf_safety")


@plant(9)
def _a_safety_notice_was_told_twice_although_the_first_answer_was_there(world: World):
    known = [{"vendor": "sendgrid", "ended": "confirmed"}] * 2
    world.change("notices", {"attempts": known}, notification_id="ntf_safety")


@plant(9)
def _a_traveller_was_told_of_a_state_that_was_never_recorded(world: World):
    world.change("notices", {"durable_at": None}, notification_id="ntf_email")


@plant(9)
def _a_traveller_was_told_before_the_state_was_recorded(world: World):
    world.change("notices", {"durable_at": NOW + timedelta(seconds=1)}, notification_id="ntf_email")


@plant(9)
def _who_did_not_want_it_was_told(world: World):
    _once_more(world, "ntf_sms")


@plant(9)
def _a_vendor_was_given_a_message_that_nobody_had_written_down(world: World):
    _once_more(world, "ntf_of_nobody")


@plant(9)
def _what_is_sent_in_our_books_never_left(world: World):
    world.messages = [one for one in world.messages if one.notification_id != "ntf_email"]


@plant(9)
def _the_feed_shows_nothing_of_what_was_told(world: World):
    world.change("notices", {"shown": None}, notification_id="ntf_live")


@plant(9)
def _the_feed_shows_what_is_still_to_be_told(world: World):
    at = next(number for number, row in enumerate(world.notices) if row.channel == "live")
    world.notices[at] = replace(world.notices[at], state="planned")
