"""A traveller's choice, on its way to the disruption's workflow: from the API and from the trip page."""

from api.services import Services
from api.temporal import WorkflowGone, send_update
from schema.disruptions import (
    ChooseAlternative,
    Disruption,
    DisruptionChoice,
    KeepFlight,
    disruption_workflow_id_for,
)
from schema.errors import Conflict


async def decide(
    services: Services, disruption: Disruption, wish: ChooseAlternative | KeepFlight, update_id: str
) -> DisruptionChoice | None:
    """What came of it; None when it is taken and still being worked on. Raises Conflict where there is nothing to choose (any more),
    and ServiceUnavailable."""
    update = "keep" if isinstance(wish, KeepFlight) else "choose"
    workflow_id = disruption_workflow_id_for(disruption.disruption_id)
    try:
        return await send_update(
            services.temporal, workflow_id, update, wish, update_id=update_id, result=DisruptionChoice
        )
    except WorkflowGone:
        raise Conflict("there is nothing to choose any more", code="no_choice") from None
