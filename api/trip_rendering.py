"""The trip page as HTML, and its assets, whose addresses change with their content so that browsers may keep them for good."""

import hashlib
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Any, Final, TypeVar

from jinja2 import Environment, PackageLoader, StrictUndefined, Template, pass_context
from jinja2.runtime import Context

from api.trip_words import WORDS, say
from schema import formatting
from schema.model import Message
from schema.notifications import Language

ASSETS: Final = {"trip.css": "text/css", "trip.js": "text/javascript", "travelhub_live.js": "text/javascript"}
_ADDRESS: Final = "/trips/assets/"
Value = TypeVar("Value")


class Asset(Message):
    content: bytes
    media_type: str


@cache
def assets() -> dict[str, Asset]:
    """By the name that they are served under, which holds the hash of their content."""
    return {
        _served_name(name): Asset(content=_content(name), media_type=media_type) for name, media_type in ASSETS.items()
    }


def render(template: str, language: Language, **values: object) -> str:
    """Raises jinja2.TemplateError where it cannot be filled, which a test of every state holds."""
    return _template(template).render(language=language, **values)


def _template(name: str) -> Template:
    return _environment().get_template(name)


def _served_name(name: str) -> str:
    stem, _, ending = name.rpartition(".")
    return f"{stem}.{hashlib.sha256(_content(name)).hexdigest()[:16]}.{ending}"


@cache
def _content(name: str) -> bytes:
    return (files("api") / "static" / name).read_bytes()


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("api"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    for name, write in _FILTERS.items():
        environment.filters[name] = write
    for name, function in _FUNCTIONS.items():
        environment.globals[name] = function
    return environment


@pass_context
def _say(context: Context, key: str, **values: object) -> str:
    return say(context["language"], key, **values)


def _in_language(write: Callable[[Value, Language], str]) -> Callable[[Context, Value], str]:
    @pass_context
    def written(context: Context, value: Value) -> str:
        return write(value, context["language"])

    return written


def _iso(at: formatting.At) -> str:
    return formatting.local(at).isoformat()


def _asset(name: str) -> str:
    return _ADDRESS + _served_name(name)


def _words_of(language: Language) -> dict[str, str]:
    return dict(WORDS[language])


_FILTERS: Final[dict[str, Callable[..., str]]] = {
    "day": _in_language(formatting.day),
    "place_of_clock": _in_language(formatting.place_of_clock),
    "clock": formatting.clock,
    "iso": _iso,
}
_FUNCTIONS: Final[dict[str, Any]] = {"say": _say, "asset": _asset, "words_of": _words_of}
