"""The parts of a search that need no server: keys, conversions, journeys, copies and ages."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from structlog.testing import CapturingLogger

from gateways.ports import Supplier
from schema.errors import VendorContractBroken
from schema.money import Money
from schema.offers import FlightOffer, FoundOffer, SearchRequest
from search.ages import Ages
from search.copies import Copies, Copy, Key
from search.journeys import journeys
from search.normalise import checked
from search.queries import cache_key
from search.rates import Rates
from tests.api.fakes import FakeSupplier, offer_of, trip_day

DAY = trip_day().date()
REQUEST = SearchRequest(origin="LHR", destination="JFK", departure_date=DAY, return_date=DAY + timedelta(days=4))
OTHERWISE = {
    "origin": "CDG", "destination": "LGA", "departure_date": DAY + timedelta(days=1),
    "return_date": DAY + timedelta(days=5), "travellers": 2, "cabin": "first", "currency": "USD", "driver_age": 40,
    "residence_country": "FR", "pickup_time": trip_day().time(), "dropoff_time": trip_day().replace(hour=3).time(),
}  # fmt: skip
IRRELEVANT = {
    "flight": {"driver_age", "residence_country", "pickup_time", "dropoff_time"},
    "hotel": {"origin", "cabin", "driver_age", "pickup_time", "dropoff_time"},
    "car": {"origin", "cabin"},
}


@pytest.mark.parametrize("kind", IRRELEVANT)
def test_a_key_depends_on_what_the_answer_depends_on(kind) -> None:
    supplier: Supplier = FakeSupplier("one", kind)  # pyright: ignore[reportAssignmentType]
    key = cache_key(supplier, REQUEST)
    same = {
        name for name in OTHERWISE if cache_key(supplier, REQUEST.model_copy(update={name: OTHERWISE[name]})) == key
    }
    assert same == IRRELEVANT[kind]
    assert cache_key(FakeSupplier("two", kind), REQUEST) != key  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("price", "currency", "converted"),
    [
        (Money(amount_minor=100, currency="EUR"), "EUR", 100),
        (Money(amount_minor=100, currency="EUR"), "USD", 117),
        (Money(amount_minor=117, currency="USD"), "EUR", 100),
        (Money(amount_minor=100, currency="EUR"), "JPY", 160),
        (Money(amount_minor=160, currency="JPY"), "EUR", 100),
        (Money(amount_minor=100, currency="EUR"), "KWD", None),
    ],
)
def test_conversion_knows_minor_units_and_rounds_half_up(price: Money, currency: str, converted: int | None) -> None:
    rates = Rates({"EUR": Decimal(1), "USD": Decimal("1.165"), "JPY": Decimal(160)})
    found = rates.converted(price, currency)
    assert (found and found.amount_minor) == converted


def _flight(*legs: tuple[str, str, str, str]) -> FlightOffer:
    offer = offer_of("flight")
    assert isinstance(offer, FlightOffer)
    segments = [
        offer.segments[0].model_copy(
            update={
                "origin": origin,
                "destination": destination,
                "departs_at": datetime.fromisoformat(departs),
                "arrives_at": datetime.fromisoformat(arrives),
            }
        )
        for origin, destination, departs, arrives in legs
    ]
    return offer.model_copy(update={"segments": segments})


def test_durations_are_by_the_clocks_of_the_airports() -> None:
    offer = _flight(
        ("LHR", "JFK", "2030-06-01T10:00", "2030-06-01T13:00"), ("JFK", "LHR", "2030-06-01T20:00", "2030-06-02T08:00")
    )
    ways = journeys(offer, {"JFK"})
    assert (ways.duration, ways.direct) == (timedelta(hours=8 + 7), True)


def test_a_long_change_is_not_taken_for_the_stay() -> None:
    offer = _flight(
        ("LHR", "KEF", "2030-06-01T10:00", "2030-06-01T12:00"),
        ("KEF", "JFK", "2030-06-02T10:00", "2030-06-02T12:00"),
        ("JFK", "LHR", "2030-06-02T20:00", "2030-06-03T08:00"),
    )
    ways = journeys(offer, {"JFK"})
    assert ([leg.origin for leg in ways.back], ways.direct) == (["JFK"], False)
    assert [leg.origin for leg in journeys(offer, {"EWR"}).there] == ["LHR"], (
        "no word of JFK: parted at the longest stay"
    )


def test_one_way_a_change_is_no_stay() -> None:
    offer = _flight(
        ("LHR", "KEF", "2030-06-01T10:00", "2030-06-01T12:00"), ("KEF", "EWR", "2030-06-02T10:00", "2030-06-02T12:00")
    )
    ways = journeys(offer, {"JFK"}, one_way=True)
    assert ([leg.origin for leg in ways.there], ways.back, ways.direct) == (["LHR", "KEF"], [], False)


def test_one_way_and_there_and_back_have_keys_of_their_own() -> None:
    supplier: Supplier = FakeSupplier("one", "flight")  # pyright: ignore[reportAssignmentType]
    one_way = REQUEST.model_copy(update={"return_date": None})
    assert cache_key(supplier, one_way) != cache_key(supplier, REQUEST)


@pytest.mark.parametrize(
    ("return_date", "legs", "fault"),
    [
        (None, 1, None),
        (None, 2, "that leads on from where it was to end"),
        (DAY + timedelta(days=4), 1, "for other days than asked"),
        (DAY + timedelta(days=4), 2, None),
    ],
)
def test_an_answer_must_lead_back_if_and_only_if_that_was_asked(return_date, legs, fault) -> None:
    there, back = f"{DAY}T10:00", f"{DAY + timedelta(days=4)}T10:00"
    offer = _flight(("LHR", "JFK", there, there), ("JFK", "LHR", back, back))
    offer = offer.model_copy(update={"supplier": "one", "segments": offer.segments[:legs]})
    request = REQUEST.model_copy(update={"return_date": return_date, "kinds": ["flight"]})
    supplier: Supplier = FakeSupplier("one", "flight")  # pyright: ignore[reportAssignmentType]
    found = [FoundOffer(offer=offer, supplier_state={})]
    if fault is None:
        assert checked(supplier, request, found, datetime.now(UTC)) == found
    else:
        with pytest.raises(VendorContractBroken, match=fault):
            checked(supplier, request, found, datetime.now(UTC))


NOW = datetime(2030, 1, 1, tzinfo=UTC)


def _copy(size: int = 100, *keys: str, fresh_until: datetime = NOW + timedelta(hours=1)) -> Copy:
    return Copy(b"x" * size, keys or ("one",), (NOW,), fresh_until, ("hotel",))


def _key(name: str) -> Key:
    return name, b"{}"


def _open_copies(max_bytes: int = 10_000) -> Copies:
    copies = Copies(max_bytes)
    copies.listening(on=True)
    return copies


def test_copies_go_with_any_of_their_entries() -> None:
    copies = _open_copies()
    copies.keep(_key("a"), _copy(1, "one", "two"), copies.epoch)
    copies.keep(_key("b"), _copy(1, "three"), copies.epoch)
    copies.drop(["two"])
    assert copies.find(_key("a"), NOW) is None
    assert copies.find(_key("b"), NOW) is not None


def test_what_was_read_before_the_news_is_not_kept_after_it() -> None:
    copies = _open_copies()
    epoch = copies.epoch
    copies.drop(["one"])
    copies.keep(_key("a"), _copy(), epoch)
    assert copies.find(_key("a"), NOW) is None


def test_without_news_there_are_no_copies() -> None:
    copies = _open_copies()
    copies.keep(_key("a"), _copy(), copies.epoch)
    copies.listening(on=False)
    copies.keep(_key("b"), _copy(), copies.epoch)
    copies.listening(on=True)
    assert [copies.find(_key(name), NOW) for name in "ab"] == [None, None]


def test_a_copy_ages_with_its_first_entry() -> None:
    copies = _open_copies()
    copies.keep(_key("a"), _copy(fresh_until=NOW), copies.epoch)
    assert copies.find(_key("a"), NOW - timedelta(seconds=1)) is not None
    assert copies.find(_key("a"), NOW) is None


def test_the_least_used_copies_make_room() -> None:
    copies = _open_copies(max_bytes=5_000)
    for name in "ab":
        copies.keep(_key(name), _copy(1_000), copies.epoch)
    assert copies.find(_key("a"), NOW) is not None
    copies.keep(_key("c"), _copy(1_000), copies.epoch)
    assert [copies.find(_key(name), NOW) is None for name in "abc"] == [False, True, False]
    copies.keep(_key("d"), _copy(6_000), copies.epoch)
    assert copies.find(_key("d"), NOW) is None


def test_ages_fall_into_buckets_and_old_ones_are_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    # Whoever configured logging before decides what a real logger lets through.
    told = CapturingLogger()
    monkeypatch.setattr("search.ages._log", told)
    ages = Ages()
    now = datetime.now(UTC)
    ages.served([now - timedelta(minutes=minutes) for minutes in (0, 4, 14)])
    ages.served([now - timedelta(minutes=20)])
    ages.served([now - timedelta(minutes=600)])
    assert [bucket.served for bucket in ages.figures().served] == [1, 1, 1, 1, 1]
    assert [(call.method_name, call.args) for call in told.calls] == [("warning", ("search_served_stale_minutes",))]
