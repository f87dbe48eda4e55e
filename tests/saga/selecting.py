"""Which cases of a table the tests of this session ask for."""

from typing import TypeVar

import pytest

Chosen = TypeVar("Chosen")


def selected_cases(request: pytest.FixtureRequest, of: type[Chosen]) -> list[Chosen]:
    """Those of this kind, so that a fixture runs what is asked for and no more."""
    asked = [item.callspec.params.get("case") for item in request.session.items if hasattr(item, "callspec")]
    return [case for case in asked if isinstance(case, of)]
