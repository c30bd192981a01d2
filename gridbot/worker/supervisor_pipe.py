"""The worker's end of the pipe to its supervisor. Sending never blocks trading, and a closed pipe is noticed at once.

Part of the worker's entry, since it starts a thread for sending.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import select
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from gridbot import background
from gridbot.pipe_frames import FrameReader, frame

__all__ = ["SupervisorPipe"]

Message = dict[str, Any]

_CHUNK = 1 << 16


class SupervisorPipe:
    """Sends in a thread, receives on the loop. If the supervisor does not read, messages are lost; trading goes on."""

    def __init__(self, conn: Connection[Any, Any], *, backlog: int = 100) -> None:
        self._conn = conn
        self._out: queue.Queue[Message | None] = queue.Queue(backlog)
        self._thread = threading.Thread(target=self._send_all, name="pipe", daemon=True)
        self._thread.start()
        self._loop: asyncio.AbstractEventLoop | None = None

    def listen(
        self, loop: asyncio.AbstractEventLoop, on_message: Callable[[Message], None], on_end: Callable[[], None]
    ) -> None:
        """Deliver each message on the loop; `on_end` is called once, when the supervisor is gone.

        What `on_message` raises goes to the loop's exception handler: it does not mean that the supervisor is gone.
        """
        self._loop = loop
        reader = FrameReader()

        def readable() -> None:
            while True:
                try:
                    data = os.read(self._conn.fileno(), _CHUNK)
                except BlockingIOError:
                    return
                except OSError:
                    data = b""
                if not data:
                    loop.remove_reader(self._conn.fileno())
                    self._loop = None
                    on_end()
                    return
                for message in reader.feed(data):
                    try:
                        on_message(message)
                    except Exception as error:  # noqa: BLE001 - as with any callback; those behind it have to come
                        loop.call_exception_handler({"message": "a message of the supervisor", "exception": error})

        os.set_blocking(self._conn.fileno(), False)  # as uvloop does with each descriptor that it watches
        loop.add_reader(self._conn.fileno(), readable)

    def send(self, message: Message) -> None:
        """Send soon; dropped when the supervisor has not read for a hundred messages."""
        with contextlib.suppress(queue.Full):
            self._out.put_nowait(message)

    def close(self) -> None:
        """Wait until queued messages are sent, half a second at most."""
        if self._loop is not None:
            self._loop.remove_reader(self._conn.fileno())
        with contextlib.suppress(queue.Full):
            self._out.put_nowait(None)
        self._thread.join(0.5)

    def _send_all(self) -> None:
        while (message := self._out.get()) is not None:
            try:
                data = frame(message)
            except Exception as error:  # noqa: BLE001 - reported; the reports behind it have to come
                background.report_in_thread(f"a message of type {message.get('type')!r} cannot be sent", error)
                continue
            try:
                self._write(memoryview(data))
            except OSError:
                return

    def _write(self, data: memoryview) -> None:
        """All of it: what does not fit into the pipe waits until the supervisor reads. Raises OSError without one."""
        while data:
            try:
                data = data[os.write(self._conn.fileno(), data) :]
            except BlockingIOError:
                room = select.poll()
                room.register(self._conn.fileno(), select.POLLOUT)
                room.poll()
