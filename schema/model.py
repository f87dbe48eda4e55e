"""The two bases of every message: ours among ourselves, and what a client sends us.

Neither shows the offending input in its errors: it may be personal data, and errors are logged.
"""

from pydantic import BaseModel, ConfigDict


class Message(BaseModel):
    """A value that travels between our own parts: immutable; unknown fields are ignored, so that releases can overlap (S-6)."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class ClientMessage(BaseModel):
    """A value a client sends: an unknown field is an error, because a misspelt option must not be silently dropped."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True, hide_input_in_errors=True)
