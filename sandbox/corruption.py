"""Answers that a broken supplier, or something between it and us, gives: no JSON, too much, half, or figures that cannot be.

Made of the vendor's real answer, whatever its format: the JSON is walked, and what looks like a currency, an amount or a date is
changed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias, cast

import orjson
from starlette.types import Message, Send

Corruption: TypeAlias = Literal["garbage", "html", "enormous", "half_body", "currency", "negative", "past"]

_GARBAGE: Final = b'{"data": [\x00\xff\xfe' + bytes(range(128, 256)) * 4
_HTML: Final = b"""<!DOCTYPE html>
<html><head><title>502 Bad Gateway</title></head>
<body><center><h1>502 Bad Gateway</h1></center><hr><center>load-balancer</center></body></html>
"""
_ENORMOUS_BYTES: Final = 12 * 1024 * 1024
_CHUNK: Final = b" " * 65_536
_NO_CURRENCY: Final = "XTS"
"""ISO 4217's code for testing, which nobody sells in."""
_YEARS: Final = 3

_CURRENCY_KEY: Final = re.compile(r"currenc", re.IGNORECASE)
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_AMOUNT_KEY: Final = re.compile(r"(amount|price|total|base|tax|taxes|fee|cost|charge|value|rate)s?$", re.IGNORECASE)
_AMOUNT: Final = re.compile(r"\d+(\.\d+)?")
_DAY: Final = re.compile(r"(\d{4})-(\d{2}-\d{2})(?=$|[T ])")

Change: TypeAlias = Callable[[str, object], object]
"""From the key it stands under (of a list: the list's) and a value that is no container to what takes its place."""


@dataclass(slots=True)
class Answer:
    """An answer taken from a handler instead of being sent."""

    status: int = 500
    headers: list[tuple[bytes, bytes]] = field(default_factory=list[tuple[bytes, bytes]])
    body: bytes = b""

    async def take(self, message: Message) -> None:
        """Stands in for the server's `send`."""
        if message["type"] == "http.response.start":
            self.status = cast(int, message["status"])
            self.headers = list(cast("list[tuple[bytes, bytes]]", message.get("headers", [])))
        else:
            self.body += cast(bytes, message.get("body", b""))


async def send_corrupted(answer: Answer, corruption: Corruption, send: Send) -> None:
    """Send the answer as it is after that. Of half a body the rest never comes: the caller must close the connection.

    An answer that has nothing to corrupt becomes a 501, so that a test which plans the impossible fails loudly.
    """
    if corruption == "garbage":
        await _send(send, 200, b"application/json", [_GARBAGE], len(_GARBAGE))
    elif corruption == "html":
        await _send(send, 200, b"text/html; charset=utf-8", [_HTML], len(_HTML))
    elif corruption == "enormous":
        await _send(send, answer.status, _type_of(answer), _padded(answer.body), None)
    elif corruption == "half_body":
        half = answer.body[: len(answer.body) // 2]
        await send(_start(answer.status, _type_of(answer), len(answer.body)))
        await send({"type": "http.response.body", "body": half, "more_body": True})
    else:
        body = _changed(answer.body, _CHANGES[corruption])
        if body is None:
            told = b"sandbox_fault_not_supported: there is nothing to corrupt"
            await _send(send, 501, b"text/plain", [told], len(told))
        else:
            await _send(send, answer.status, _type_of(answer), [body], len(body))


def _type_of(answer: Answer) -> bytes:
    return next((value for name, value in answer.headers if name.lower() == b"content-type"), b"application/json")


def _start(status: int, content_type: bytes, length: int | None) -> Message:
    headers = [(b"content-type", content_type)]
    if length is not None:
        headers.append((b"content-length", str(length).encode()))
    return {"type": "http.response.start", "status": status, "headers": headers}


async def _send(
    send: Send, status: int, content_type: bytes, parts: Iterator[bytes] | list[bytes], length: int | None
) -> None:
    await send(_start(status, content_type, length))
    for part in parts:
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _padded(body: bytes) -> Iterator[bytes]:
    """The answer, then blanks without end: JSON still, for whoever reads them all."""
    yield body
    for _ in range(_ENORMOUS_BYTES // len(_CHUNK) + 1):
        yield _CHUNK


# ------------------------------------------------------------------------------------------------ figures in the JSON


def _changed(body: bytes, change: Change) -> bytes | None:
    """The JSON with the change made wherever it applies; None if it applies nowhere."""
    try:
        document = cast(object, orjson.loads(body))
    except orjson.JSONDecodeError:
        return None
    changed = _walked(document, "", change)
    return None if changed == document else orjson.dumps(changed)


def _walked(node: object, key: str, change: Change) -> object:
    if isinstance(node, dict):
        return {name: _walked(value, name, change) for name, value in cast("dict[str, object]", node).items()}
    if isinstance(node, list):
        return [_walked(item, key, change) for item in cast("list[object]", node)]
    return change(key, node)


def _in_no_currency(key: str, value: object) -> object:
    is_code = isinstance(value, str) and _CURRENCY.fullmatch(value) and _CURRENCY_KEY.search(key)
    return _NO_CURRENCY if is_code else value


def _negated(key: str, value: object) -> object:
    if not _AMOUNT_KEY.search(key) or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return f"-{value}" if _AMOUNT.fullmatch(value) else value
    return -value if isinstance(value, int | float) else value


def _years_ago(_key: str, value: object) -> object:
    if not isinstance(value, str):
        return value

    def earlier(match: re.Match[str]) -> str:
        # Three years before a leap day there is none.
        return f"{int(match[1]) - _YEARS:04d}-{match[2].replace('02-29', '02-28')}"

    return _DAY.sub(earlier, value, count=1) if _DAY.match(value) else value


_CHANGES: Final[dict[str, Change]] = {"currency": _in_no_currency, "negative": _negated, "past": _years_ago}
