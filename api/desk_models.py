"""What operators send to the desk. An unknown field is an error; every text has a limit."""

from typing import Annotated, Literal

from pydantic import Field

from schema.model import ClientMessage

_Reference = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[ -~]+$")]


class CasesQuery(ClientMessage):
    """Which cases, oldest first; what is not given does not matter."""

    state: Literal["open", "resolved", "all"] = "open"
    reason: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]+$")] | None = None
    """A part of the reason; capital letters do not matter."""
    vendor: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,60}$", examples=["stripe"])] | None = None
    """At which an effect is outstanding."""
    older_than_s: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    min_amount_minor: Annotated[int, Field(ge=0, le=2**53)] | None = None
    """Of the sum of the outstanding effects in one currency; an effect whose amount nobody knows adds nothing."""
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: Annotated[str, Field(min_length=1, max_length=400, pattern=r"^[A-Za-z0-9_=-]+$")] | None = None
    """`next_cursor` of the page before."""


class CaseResolution(ClientMessage):
    """What an operator decided about a review case. The note is kept in the case, in the desk's record, which nobody can change, and
    in the workflow's history: no personal data."""

    action: Literal["retry", "confirmed_at_vendor", "settled_by_hand", "write_off"]
    reference: _Reference | None = None
    """Which of the case's effects; needed where there are several, except for `retry`, which is for all."""
    provider_reference: _Reference | None = None
    """The vendor's own reference of what is confirmed there."""
    note: Annotated[str, Field(min_length=1, max_length=2000, pattern=r"^[^\x00]+$")]
