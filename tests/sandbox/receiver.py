"""A webhook endpoint for tests of the vendors that push."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Delivery:
    """One POST that was taken."""

    path: str
    body: bytes
    headers: Message

    @property
    def event(self) -> dict:
        return json.loads(self.body)


class Receiver:
    """Keeps what it gets, and refuses the first so many deliveries."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/hooks?from=sandbox"
        self.refuse = 0
        self.got: list[Delivery] = []

    def types(self) -> list[str]:
        return [delivery.event["type"] for delivery in self.got]


@contextmanager
def receiving() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            refused = receiver.refuse > 0
            receiver.refuse -= refused
            if not refused:
                receiver.got.append(Delivery(self.path, body, self.headers))
            self.send_response(500 if refused else 200)
            self.end_headers()

        def log_message(self, *_):
            """A quiet server."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver = Receiver(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
