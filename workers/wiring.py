"""The composition root of a worker: gateways and stores from settings, activities from those."""

from collections.abc import Callable, Sequence

from temporalio.client import Client

from activities.alternatives import Alternatives
from activities.cancelling import Cancelling
from activities.disrupting import Disrupting
from activities.found_offers import FoundOffers
from activities.monitor_sweeping import MonitorSweeping
from activities.notice_reading import LinkMaker
from activities.notifying import Notifications
from activities.payments import Payments
from activities.pricing import Pricing
from activities.rebooking import Rebooking
from activities.reconciling import Reconciling
from activities.recording import Recording
from activities.refunds import Refunds
from activities.releasing import Releasing
from activities.repairing import Repairing
from activities.reservations import Reservations
from activities.substituting import Substituting
from activities.sweeping import Sweeping
from activities.undoing import Undoing
from activities.watching import Watching
from gateways.ports import Vendors
from schema.settings import Settings
from search.house import searching_alone
from store.database import Database
from store.valkey import Valkey
from workflows.admission import AdmissionSweepWorkflow
from workflows.booking import BookingWorkflow
from workflows.cancellation import CancellationWorkflow
from workflows.disruption import DisruptionWorkflow
from workflows.flight_monitor import FlightMonitorWorkflow
from workflows.monitor_sweep import MonitorSweepWorkflow
from workflows.notification import NotificationWorkflow
from workflows.reconciliation import ReconciliationWorkflow
from workflows.refund import RefundWorkflow
from workflows.repair import RepairWorkflow

WORKFLOWS: Sequence[type] = (
    BookingWorkflow,
    RefundWorkflow,
    CancellationWorkflow,
    AdmissionSweepWorkflow,
    FlightMonitorWorkflow,
    MonitorSweepWorkflow,
    ReconciliationWorkflow,
    RepairWorkflow,
    NotificationWorkflow,
    DisruptionWorkflow,
)


def all_activities(
    settings: Settings, database: Database, valkey: Valkey, vendors: Vendors, client: Client
) -> list[Callable[..., object]]:
    """Every activity of every duty, bound to this process's stores and gateways."""
    found_offers = FoundOffers(database, valkey)
    pricing = Pricing(database, vendors, found_offers)
    recording = Recording(database, found_offers)
    reservations = Reservations(database, vendors, found_offers)
    substituting = Substituting(database, vendors)
    undoing = Undoing(database, vendors)
    payments = Payments(database, vendors)
    releasing = Releasing(database, vendors)
    refunds = Refunds(database, vendors)
    cancelling = Cancelling(database, vendors)
    sweeping = Sweeping(database, valkey, vendors, client, settings)
    watching = Watching(database, vendors)
    monitor_sweeping = MonitorSweeping(database, client, settings.flights)
    reconciling = Reconciling(database, vendors, client, settings.reconciliation, settings.saga)
    repairing = Repairing(database, vendors, client, settings.saga)
    secret = settings.link_secret
    links = LinkMaker(str(settings.public_url), None if secret is None else secret.get_secret_value())
    notifications = Notifications(database, vendors, links)
    disrupting = Disrupting(database)
    alternatives = Alternatives(database, vendors, searching_alone(database, valkey, vendors, settings.search))
    rebooking = Rebooking(database, vendors, client, settings.saga, alternatives)
    return [
        pricing.check_price,
        recording.record_state,
        recording.leave_out,
        recording.record_cancelled,
        recording.open_case,
        recording.close_case,
        reservations.hold,
        reservations.book,
        reservations.confirm,
        reservations.find_out_hold,
        reservations.find_out_book,
        reservations.find_out_confirm,
        substituting.find_equal,
        undoing.undo_item,
        payments.authorise,
        payments.find_out_authorisation,
        payments.look_at_authorisation,
        payments.capture,
        payments.reauthorise,
        releasing.undo_payment,
        refunds.start_refund,
        refunds.look_at_refund,
        cancelling.quote_cancellation,
        sweeping.sweep_admissions,
        watching.poll_flight,
        watching.look_at_flight,
        watching.fan_out_batch,
        watching.tell_newcomers,
        watching.end_watching,
        monitor_sweeping.sweep_monitors,
        reconciling.begin_run,
        reconciling.read_pages,
        reconciling.end_run,
        repairing.examine,
        repairing.release_stray,
        repairing.conclude,
        disrupting.open_disruption,
        disrupting.close_disruption,
        alternatives.find_alternatives,
        rebooking.begin_rebooking,
        rebooking.look_at_choice,
        rebooking.look_at_rebooking,
        rebooking.end_rebooking,
        rebooking.plan_cancellation_of_old,
        notifications.plan_notification,
        notifications.planned_row,
        notifications.show_live,
        notifications.send_notice,
        notifications.find_out_notice,
        notifications.look_for_receipt,
        notifications.give_up_notice,
    ]
