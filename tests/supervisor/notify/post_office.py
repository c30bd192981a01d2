"""A real HTTP server that takes messages of Apprise's `json://`, and answers as a test says."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class PostOffice:
    """`letters` are those that were taken, `asked` all paths, with those that were refused; `status` is the answer."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.status = 200
        self.open = threading.Event()
        self.open.set()
        self.letters: list[dict[str, Any]] = []
        self.asked: list[str] = []

    def url(self, path: str) -> str:
        return f"json://127.0.0.1:{self.port}/{path}"

    @property
    def texts(self) -> list[str]:
        """Title and body of each letter."""
        return [f"{letter['title']}\n{letter['message']}" for letter in self.letters]


@contextmanager
def post_office() -> Iterator[PostOffice]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(b"")

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers["Content-Length"])))

        def _answer(self, body: bytes) -> None:
            office.asked.append(self.path)
            office.open.wait(60)
            if body and office.status == 200:
                office.letters.append(json.loads(body))
            self.send_response(office.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    office = PostOffice(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield office
    finally:
        office.open.set()
        server.shutdown()
        server.server_close()
        thread.join()
