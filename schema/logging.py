"""Structured logs, the same in every process: structlog, and the standard library's loggers in the same form.

Lines are JSON in production and readable locally. What is bound with `bind_contextvars(correlation_id=...)` is on every line
of that request or activity. Values under a name that promises a secret or personal data are masked, however deep they are.
"""

import logging
import re
import sys
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final, cast

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from schema.settings import Settings

_MASK: Final = "***"
_SENSITIVE: Final = re.compile(
    r"token|secret|authorization|password|api_?key|email|phone|given_name|family_name|date_of_birth", re.IGNORECASE
)
_CHATTY: Final = ("httpx", "httpcore", "alembic", "stripe", "uvicorn.access")
"""Loggers whose lines below a warning say what ours say already, some of them with whole URLs."""


def configure_logging(settings: Settings) -> None:
    """Sets up logging of this process; calling it again replaces what was set up before."""
    as_json = settings.log_format == "json" or settings.environment == "production"
    first: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[Processor]
    if as_json:
        last = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    else:
        # Plain tracebacks: the prettier ones print local variables, and those may be personal data.
        last = [
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)
        ]
    structlog.configure(
        processors=[*first, mask_sensitive, *last],
        logger_factory=_Lines,
        wrapper_class=structlog.make_filtering_bound_logger(settings.log_level),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*first, structlog.stdlib.ExtraAdder(), _drop_colours, mask_sensitive],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)


class _Lines:
    """Writes our own lines past the standard library, whose records cost as much as all else about a line."""

    def __init__(self, name: str = "") -> None:
        self.name = name

    def msg(self, line: str) -> None:
        # Looked up anew: a test, or a program that detaches itself, may have closed the one that was there at first.
        sys.stderr.write(f"{line}\n")

    debug = info = warning = error = critical = msg


def _drop_colours(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Uvicorn says everything twice, the second time in colours."""
    event.pop("color_message", None)
    return event


def mask_sensitive(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """The processor that masks; on values under sensitive names, in nested mappings and lists too."""
    for name, value in event.items():
        if _promises_a_secret(name):
            event[name] = _MASK
        elif isinstance(value, Mapping | list | tuple):
            event[name] = _masked(cast("object", value))
    return event


@lru_cache(maxsize=1000)
def _promises_a_secret(name: str) -> bool:
    return _SENSITIVE.search(name) is not None


def _masked(value: object) -> object:
    if isinstance(value, Mapping):
        entries = cast("Mapping[object, object]", value)
        return {name: _MASK if _promises_a_secret(str(name)) else _masked(entry) for name, entry in entries.items()}
    if isinstance(value, list | tuple):
        return [_masked(entry) for entry in cast("Sequence[object]", value)]
    return value
