"""Where a listing goes on: the moment and id of the last row that was shown, as one opaque word."""

import base64
from datetime import datetime
from typing import Annotated

from pydantic import AwareDatetime, StringConstraints, TypeAdapter, ValidationError

from schema.errors import Malformed

_CURSOR: TypeAdapter[tuple[AwareDatetime, str]] = TypeAdapter(
    tuple[AwareDatetime, Annotated[str, StringConstraints(pattern=r"^[!-~]{1,200}$")]]
)


def write_cursor(moment: datetime, last_id: str) -> str:
    return base64.urlsafe_b64encode(_CURSOR.dump_json((moment, last_id))).decode()


def read_cursor(cursor: str) -> tuple[datetime, str]:
    """The inverse of `write_cursor`; raises Malformed for a word that is not one of ours."""
    try:
        return _CURSOR.validate_json(base64.urlsafe_b64decode(cursor.encode()))
    except (ValueError, ValidationError):
        raise Malformed("the cursor is not one of ours", code="malformed_cursor", field="cursor") from None
