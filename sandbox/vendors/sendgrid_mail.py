"""SendGrid's request to send: what of it must be there, and the error for the first field that is not as it must be.

The contract types the top-level `custom_args` as a text. SendGrid's libraries send an object there, and so it is here.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from sandbox.vendors.sendgrid_wire import SendGridError
from sandbox.world import JsonObject

_LATEST_SEND_S: Final = 72 * 3600

Text: TypeAlias = Annotated[str, Field(min_length=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class Address(_Part):
    """A person with a mailbox."""

    email: str = Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$", max_length=320)
    name: str | None = None


class Personalization(_Part):
    """One message: to whom it goes, all of whom see each other."""

    sender: Address | None = Field(default=None, alias="from")
    to: list[Address] = Field(min_length=1, max_length=1000)
    cc: list[Address] = Field(default=[], max_length=1000)
    bcc: list[Address] = Field(default=[], max_length=1000)
    subject: Text | None = None
    headers: dict[str, str] = {}
    substitutions: dict[str, str] = {}
    dynamic_template_data: JsonObject = {}
    custom_args: dict[str, str] = {}
    send_at: int | None = None

    @property
    def recipients(self) -> list[Address]:
        return [*self.to, *self.cc, *self.bcc]


class Content(_Part):
    """One form of the text."""

    type: Text
    value: Text


class Attachment(_Part):
    """A file, in base64."""

    content: Text
    type: Text | None = None
    filename: str
    disposition: Literal["inline", "attachment"] = "attachment"
    content_id: str | None = None


class _Switch(_Part):
    enable: bool = False


class _MailSettings(BaseModel):
    """What else there is changes nothing in the sandbox."""

    sandbox_mode: _Switch = _Switch()


class Mail(_Part):
    """The body of `POST /v3/mail/send`."""

    personalizations: list[Personalization] = Field(min_length=1, max_length=1000)
    sender: Address = Field(alias="from")
    reply_to: Address | None = None
    reply_to_list: list[Address] = []
    subject: Text | None = None
    content: list[Content] = []
    attachments: list[Attachment] = []
    template_id: str | None = None
    headers: dict[str, str] = {}
    categories: list[str] = Field(default=[], max_length=10)
    custom_args: dict[str, str] = {}
    send_at: int | None = None
    batch_id: str | None = None
    asm: JsonObject = {}
    ip_pool_name: str | None = None
    mail_settings: _MailSettings = _MailSettings()
    tracking_settings: JsonObject = {}

    @field_validator("content")
    @classmethod
    def _plain_comes_first(cls, content: list[Content]) -> list[Content]:
        kinds = [each.type for each in content]
        if "text/plain" in kinds[1:]:
            raise ValueError("text/plain must be the first type of content")
        return content

    @model_validator(mode="after")
    def _has_subject_and_content(self) -> Self:
        if self.template_id is None:
            if not self.content:
                raise ValueError("content is required")
            if self.subject is None and any(each.subject is None for each in self.personalizations):
                raise ValueError("subject is required")
        return self


def mail_in(body: bytes, now: float) -> Mail:
    """What is to be sent, or SendGrid's 400."""
    try:
        mail = Mail.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise SendGridError(400, first["msg"], field or None) from error
    for send_at in (mail.send_at, *(each.send_at for each in mail.personalizations)):
        if send_at is not None and send_at > now + _LATEST_SEND_S:
            raise SendGridError(400, "Scheduled at most 72 hours ahead.", "send_at")
    return mail
