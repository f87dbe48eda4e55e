"""The table of transitions: complete, final is final, and every state can be left or is an end."""

from schema.states import CONFIRMED_STATES, FINAL_STATES, LEGAL_TRANSITIONS, SETTLED_STATES, BookingState, is_legal


def test_every_state_has_its_row() -> None:
    assert set(LEGAL_TRANSITIONS) == set(BookingState)


def test_final_is_final() -> None:
    assert {state for state, following in LEGAL_TRANSITIONS.items() if not following} == FINAL_STATES
    assert SETTLED_STATES == FINAL_STATES | CONFIRMED_STATES


def test_every_state_can_be_reached_and_ends() -> None:
    reached, frontier = {BookingState.PENDING}, [BookingState.PENDING]
    while frontier:
        following = LEGAL_TRANSITIONS[frontier.pop()] - reached
        reached |= following
        frontier += following
    assert reached == set(BookingState)


def test_nothing_confirmed_goes_back_to_being_booked() -> None:
    assert not is_legal(BookingState.CONFIRMED, BookingState.RESERVING)
    assert not is_legal(BookingState.CONFIRMED, BookingState.COMPENSATING)
    assert is_legal(BookingState.CONFIRMED, BookingState.CONFIRMED)
