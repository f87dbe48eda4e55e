"""Circuit, quota and budget of retries, at moments of our choosing."""

from __future__ import annotations

import pytest

from schema.settings import OutboundSettings
from store.traffic_rules import (
    Counts,
    VendorBook,
    admit,
    circuit_of,
    end_probe,
    last_minute,
    take_retry,
    tell,
    tokens_left,
)

SETTINGS = OutboundSettings()
NOW = 1_000_000.0


def told(now: float = NOW, **counts: int) -> VendorBook:
    book = VendorBook()
    tell(book, Counts(**counts), now, SETTINGS)
    return book


@pytest.mark.parametrize(
    ("counts", "expected_s"),
    [
        ({"failed": 19}, None),
        ({"failed": 20}, 30),
        ({"failed": 10, "answered": 10}, None),
        ({"failed": 11, "answered": 9}, 30),
        ({"limited": 19}, None),
        ({"limited": 20}, 300),
        ({"limited": 10, "answered": 10}, None),
        ({"limited": 11, "answered": 9}, 300),
        # What is limited is neither a failure nor a success of the vendor.
        ({"failed": 15, "limited": 10}, None),
        ({"failed": 20, "limited": 15}, 30),
    ],
)
def test_when_the_circuit_opens_and_for_how_long(counts, expected_s):
    book = told(**counts)
    assert book.open_until == (None if expected_s is None else NOW + expected_s)
    refused = admit(book, NOW + 1, "booking", None, 5)
    assert refused.open_for_s == (None if expected_s is None else expected_s - 1)


def test_only_the_last_minute_counts():
    book = told(failed=19)
    tell(book, Counts(failed=1), NOW + 61, SETTINGS)
    assert circuit_of(book, NOW + 61) == "closed"
    assert last_minute(book, NOW + 61) == Counts(failed=1)
    tell(book, Counts(failed=19), NOW + 100, SETTINGS)
    assert circuit_of(book, NOW + 100) == "open"


def half_open() -> tuple[VendorBook, float]:
    book = told(failed=20)
    return book, NOW + SETTINGS.circuit_open_s


def test_half_open_lets_exactly_one_through():
    book, now = half_open()
    assert circuit_of(book, now) == "half_open"
    assert admit(book, now, "search", None, 5).is_probe
    assert admit(book, now + 1, "booking", None, 5).open_for_s == 4
    # Its process has died: somebody else may look.
    assert admit(book, now + 5, "booking", None, 5).is_probe


@pytest.mark.parametrize(
    ("ended", "circuit", "after_s"),
    [("answered", "closed", None), ("failed", "open", 30), ("limited", "open", 300), ("abandoned", "half_open", 0)],
)
def test_the_probe_decides(ended, circuit, after_s):
    book, now = half_open()
    admit(book, now, "booking", None, 5)
    end_probe(book, now, ended, SETTINGS)
    assert circuit_of(book, now) == circuit
    assert book.open_until == (None if after_s is None else now + after_s)
    if circuit == "half_open":
        assert admit(book, now, "booking", None, 5).is_probe


def test_a_closed_circuit_has_forgotten_what_opened_it():
    book, now = half_open()
    admit(book, now, "booking", None, 5)
    end_probe(book, now, "answered", SETTINGS)
    tell(book, Counts(failed=19), now, SETTINGS)
    assert circuit_of(book, now) == "closed"


def test_calls_from_before_it_opened_prolong_nothing():
    book, now = half_open()
    tell(book, Counts(failed=50), now - 1, SETTINGS)
    assert circuit_of(book, now) == "half_open"


def test_search_leaves_a_fifth_of_the_quota_to_bookings():
    book = VendorBook()
    admitted = [admit(book, NOW, "search", 100, 5).wait_s == 0 for _ in range(81)]
    assert admitted == [True] * 80 + [False]
    admitted = [admit(book, NOW, "booking", 100, 5).wait_s == 0 for _ in range(21)]
    assert admitted == [True] * 20 + [False]


def test_the_bucket_fills_evenly_and_says_how_long_that_takes():
    book = VendorBook()
    for _ in range(120):
        admit(book, NOW, "booking", 120, 5)
    assert admit(book, NOW, "booking", 120, 5).wait_s == pytest.approx(0.5)
    assert admit(book, NOW, "search", 120, 5).wait_s == pytest.approx(12.5)
    assert admit(book, NOW + 0.5, "booking", 120, 5).wait_s == 0
    assert tokens_left(book, NOW + 0.5, 120) == 0
    assert tokens_left(book, NOW + 1000, 120) == 120


def test_one_a_minute_is_for_searches_too():
    assert admit(VendorBook(), NOW, "search", 1, 5).wait_s == 0


def test_who_waits_for_the_quota_is_not_the_probe():
    book, now = half_open()
    book.tokens, book.tokens_at = 0, now
    assert admit(book, now, "booking", 60, 5).wait_s == 1
    assert admit(book, now + 1, "booking", 60, 5).is_probe


@pytest.mark.parametrize(("calls", "retries"), [(0, 3), (1, 3), (39, 3), (40, 4), (100, 10)])
def test_a_tenth_of_the_calls_may_be_sent_again_and_three_of_a_quiet_vendor(calls, retries):
    book = told(answered=calls)
    assert [take_retry(book, NOW) for _ in range(retries + 1)] == [True] * retries + [False]
    assert last_minute(book, NOW).retries == retries
    assert take_retry(book, NOW + 61)
