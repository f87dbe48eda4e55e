"""A choice made on the trip page: one of the options as they were shown, or none of them."""

import hashlib
from urllib.parse import parse_qs

from api.disruptions import decide
from api.services import Services
from api.trip_disruptions import offered_of
from schema.disruptions import ChooseAlternative, Disruption, KeepFlight
from schema.errors import Conflict, ServiceUnavailable
from schema.model import Message


class Choice(Message):
    """As the form sends it; what is missing is empty, which is nobody's token and no option."""

    token: str
    offered: str
    choice: str

    @classmethod
    def of_form(cls, body: bytes) -> "Choice":
        fields = parse_qs(body.decode("utf-8", "replace"), max_num_fields=20)
        return cls.model_validate({name: fields.get(name, [""])[0] for name in cls.model_fields})


async def choose(services: Services, disruption: Disruption | None, choice: Choice) -> tuple[str, int]:
    """The word that says what came of it, and the status. Sent twice it happens once: the update's id is made of what was shown and
    what was chosen, and the workflow takes one choice."""
    if disruption is None or disruption.state != "offered":
        return "choice_refused", 409
    if choice.offered != offered_of(disruption):
        return "choice_stale", 409
    wish = _wish(disruption, choice.choice)
    if wish is None:
        return "choose_first", 422
    try:
        await decide(services, disruption, wish, _update_id(disruption, choice))
    except Conflict:
        return "choice_refused", 409
    except ServiceUnavailable:
        return "unavailable", 503
    return "choice_taken", 200


def _wish(disruption: Disruption, choice: str) -> ChooseAlternative | KeepFlight | None:
    """Consent is to the price that was shown, which `offered` holds."""
    if choice == "keep":
        return KeepFlight()
    chosen = [one for one in disruption.alternatives if str(one.number) == choice]
    return ChooseAlternative(number=chosen[0].number, difference=chosen[0].difference) if chosen else None


def _update_id(disruption: Disruption, choice: Choice) -> str:
    """Must merge: the same option of the same offer, sent again. Must not merge: another option, or a later offer."""
    told = f"{disruption.disruption_id}:{choice.offered}:{choice.choice}"
    return f"trip-{hashlib.sha256(told.encode()).hexdigest()[:32]}"
