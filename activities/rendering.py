"""A notice in words: an e-mail as text and HTML, an SMS, and a title with a line for push and the live feed.

Each kind has one file of words for each language, which fills the shared layouts. HTML escapes by itself, a name that is missing is an
error, and the templates run in a sandbox: what they are given are plain values.
"""

import re
from collections.abc import Callable
from functools import cache
from typing import Final, Literal, TypeVar

from jinja2 import PackageLoader, StrictUndefined, Template, pass_context
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from activities.notice_content import NoticeContent
from schema import formatting
from schema.model import Message
from schema.notifications import SAFETY, Language

_PARAGRAPHS: Final = re.compile(r"\s*\n\s*\n\s*")
_BLANKS: Final = re.compile(r"\n{3,}")
_SPACES: Final = re.compile(r"\s+")
Value = TypeVar("Value")
Block = Literal["subject", "headline", "sms", "push"]


class Rendered(Message):
    """Ready to be sent by any channel."""

    subject: str
    text: str
    html: str
    sms: str
    title: str
    """Of push and live feed, with their line."""
    line: str


def render(content: NoticeContent) -> Rendered:
    """Raises jinja2.TemplateError where a template cannot be filled, which a test of every kind holds."""
    plain, html = _template(content, html=False), _template(content, html=True)
    text = plain.render(_values(content, "email.txt.j2"))
    return Rendered(
        subject=_block(plain, "subject", content),
        text=_BLANKS.sub("\n\n", text).strip() + "\n",
        html=html.render(_values(content, "email.html.j2")).strip() + "\n",
        sms=_block(plain, "sms", content),
        title=_block(plain, "headline", content),
        line=_block(plain, "push", content),
    )


def _template(content: NoticeContent, *, html: bool) -> Template:
    return _environment(html=html).get_template(f"{content.language}/{content.kind}.j2")


def _values(content: NoticeContent, layout: str) -> dict[str, object]:
    told = {name: getattr(content, name) for name in NoticeContent.model_fields}
    return {**told, "urgent": content.kind in SAFETY, "layout": layout}


def _block(template: Template, name: Block, content: NoticeContent) -> str:
    """One block alone, on one line."""
    context = template.new_context(_values(content, "email.txt.j2"))
    return _SPACES.sub(" ", "".join(template.blocks[name](context))).strip()


@cache
def _environment(*, html: bool) -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        loader=PackageLoader("activities"),
        autoescape=html,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    for name, write in (*_WRITERS.items(), ("paragraphs", _paragraphs if html else str)):
        environment.filters[name] = write
    return environment


def _in_language(write: Callable[[Value, Language], str]) -> Callable[[Context, Value], str]:
    @pass_context
    def written(context: Context, value: Value) -> str:
        return write(value, context["language"])

    return written


def _paragraphs(text: str) -> Markup:
    """Of a block that has escaped what it was given."""
    parts = [part for part in _PARAGRAPHS.split(text.strip()) if part]
    return Markup("".join(f"<p>{part}</p>\n" for part in parts))  # noqa: S704  # a block of an environment that escapes


_WRITERS: Final[dict[str, Callable[..., str]]] = {
    "when": _in_language(formatting.when),
    "day": _in_language(formatting.day),
    "short": _in_language(formatting.short),
    "money": _in_language(formatting.money),
    "length": _in_language(formatting.length),
    "clock": formatting.clock,
}
