"""Card numbers and personal data, planted wherever we or Temporal keep text."""

from collections.abc import Callable

from tests.audit.books import FAILED, HAPPY, MOVING, STUCK, World

LEAKS = {
    "a card number": "declined: 4242424242424242",
    "a card number as printed": "declined: 4242 4242 4242 4242",
    "an e-mail address": "sent to somebody@example.org",
    "a telephone number": "call +351210000000",
    "the traveller's own number": "call 442080160509",
    "the traveller's family name": "ask for Earhart at the desk",
    "the traveller's full name": "EARHART/AMELIA".title(),
    "a field": '{"given_name": "A"}',
}


def leak(place: str, text: str) -> Callable[[World], None]:
    def into(world: World) -> None:
        if place == "events":
            world.change("events", {"data": {"reason": text}}, booking_id=HAPPY, version=1)
        elif place == "attempts":
            world.change("attempts", {"outcome": {"message": text}}, booking_id=HAPPY, step="capture")
        elif place == "cases":
            world.change("cases", {"reason": text}, booking_id=STUCK)
        elif place == "notices":
            world.change("notices", {"shown": {"title": text}}, notification_id="ntf_live")
        elif place == "notes":
            world.change("notes", {"text": text}, booking_id=STUCK)
        elif place == "payments":
            world.change("payments", {"failure": text}, booking_id=FAILED)
        elif place == "entries":
            world.change("entries", {"account": text}, booking_id=MOVING, account="authorised:customers")
        else:
            world.change("answers", {"texts": (text,)}, workflow_id=f"booking-{HAPPY}")

    return into


PLACES = ("events", "attempts", "cases", "notices", "notes", "payments", "entries", "histories")
LEAKED = {
    f"{kind} in {place}": leak(place, text)
    for place in PLACES
    for kind, text in LEAKS.items()
    # Within JSON within JSON a field's quotes are escaped, and nobody stores it so.
    if not (kind == "a field" and place in ("events", "attempts", "notices"))
}
