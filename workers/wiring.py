"""The composition root of a worker: gateways and stores from settings, activities from those."""

from collections.abc import Callable, Sequence

from temporalio.client import Client

from activities.cancelling import Cancelling
from activities.payments import Payments
from activities.pricing import Pricing
from activities.recording import Recording
from activities.refunds import Refunds
from activities.reservations import Reservations
from activities.sweeping import Sweeping
from activities.undoing import Undoing
from gateways.ports import Vendors
from schema.settings import Settings
from store.database import Database
from workflows.admission import AdmissionSweepWorkflow
from workflows.booking import BookingWorkflow
from workflows.cancellation import CancellationWorkflow
from workflows.refund import RefundWorkflow

WORKFLOWS: Sequence[type] = (BookingWorkflow, RefundWorkflow, CancellationWorkflow, AdmissionSweepWorkflow)


def all_activities(
    settings: Settings, database: Database, vendors: Vendors, client: Client
) -> list[Callable[..., object]]:
    """Every activity of every duty, bound to this process's stores and gateways."""
    pricing = Pricing(database, vendors)
    recording = Recording(database)
    reservations = Reservations(database, vendors)
    undoing = Undoing(database, vendors)
    payments = Payments(database, vendors)
    refunds = Refunds(database, vendors)
    cancelling = Cancelling(database, vendors)
    sweeping = Sweeping(database, vendors, client, settings.saga)
    return [
        pricing.check_price,
        recording.record_state,
        recording.leave_out,
        recording.open_case,
        recording.close_case,
        reservations.hold,
        reservations.book,
        reservations.confirm,
        reservations.find_out_hold,
        reservations.find_out_book,
        reservations.find_out_confirm,
        undoing.undo_item,
        payments.authorise,
        payments.find_out_authorisation,
        payments.look_at_authorisation,
        payments.capture,
        payments.undo_payment,
        refunds.start_refund,
        refunds.look_at_refund,
        cancelling.quote_cancellation,
        sweeping.sweep_admissions,
    ]
