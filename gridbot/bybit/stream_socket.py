"""pybit's WebSocket, kept to what it does well: addresses, authentication, keep-alive.

One object is one connection; it never comes back to life. What is done about pybit 5.17 (docs/platform.md 2,
numbers are its defects):

* `_connect` is replaced. pybit's waits inside the constructor, gives up within 90 ms of refusals (4) or hammers at 95
  connects a second (6), fails on the last try although it succeeded (5), and cannot be pointed at a loopback address.
  Here it starts the thread and returns; who made the object watches it and makes the next one.
* websocket-client walks over each byte of a message in Python to validate UTF-8, two thirds of the cost of a ticker.
  `skip_utf8_validation` stops that; orjson, which gets the raw bytes, refuses invalid UTF-8 itself. Its three reads
  per frame are one (`_Reader`).
* `_on_message` is replaced: no merge and deep copy per ticker, no shared dictionary handed out (9), no callback table
  whose missing keys kill the stream (1, 10, 11), and nothing that is raised in it leaves it (2).
* Topics are sent when the connection stands (for a private one: when authentication was confirmed), so that there is no
  race with the server's answer (1) and no failed sign-in that nobody hears of (3).
* `_on_error` is replaced: pybit's reconnects by itself for three kinds of errors without telling, and closes for good
  for the others. Here every error is the end of this object, and is told.
* Keys expire `private_auth_expire` s from the *exchange's* now, not one second from ours (7).
* `abandon` never waits for the thread, which may hang for `ping_timeout` (8).
"""

from __future__ import annotations

import contextlib
import json
import logging
import selectors
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import orjson
import websocket
from pybit._http_manager import generate_signature
from pybit.unified_trading import WebSocket
from websocket._dispatcher import DispatcherBase

from gridbot.bybit.endpoints import Credentials
from gridbot.bybit.error_mapping import from_http_status, scrub
from gridbot.exchange.failures import ErrorKind, ExchangeError, make_error

__all__ = ["BybitSocket", "SocketListener", "Topics"]

Topics = Mapping[str, Sequence[str]]
"""Topics of each subscription message, by its request id."""

log = logging.getLogger(__name__)


READ_SIZE = 16_384


class _Reader(DispatcherBase):
    """Reads what the kernel has at once instead of header, length and payload one by one.

    websocket-client's frame buffer keeps what is more than it asked for, but its own dispatchers then wait for the
    socket although a whole frame may lie in that buffer already; this one looks there first (and, with TLS, in the
    layer below).
    """

    def read(self, sock: Any, read_callback: Callable[[], bool], check_callback: Callable[[], bool]) -> None:
        connection = self.app.sock
        raw = connection.sock if connection is not None else None
        if connection is None or raw is None:
            return
        buffer = connection.frame_buffer
        receive: Callable[[int], bytes] = connection._recv
        buffer.recv = lambda _: receive(READ_SIZE)
        tls_pending: Callable[[], int] = getattr(raw, "pending", int)
        with selectors.DefaultSelector() as selector:
            selector.register(raw, selectors.EVENT_READ)
            while self.app.keep_running:
                if buffer.recv_buffer or tls_pending():
                    if not read_callback():
                        break
                    continue
                if selector.select(self.ping_timeout) and not read_callback():
                    break
                check_callback()


class _App(websocket.WebSocketApp):
    def create_dispatcher(self, ping_timeout: float | None, *_: Any, **__: Any) -> Any:
        return _Reader(self, ping_timeout or 10)


class SocketListener(Protocol):
    """Told in pybit's threads; must return at once."""

    def on_open(self) -> None: ...
    def on_frame(self, topic: str, frame: dict[str, Any], received_ns: int) -> None: ...
    def on_alive(self) -> None:
        """A sign of life that is no message: a pong."""

    def on_confirmed(self, request_id: str) -> None:
        """The topics of a subscription request are on."""

    def on_lost(self, error: ExchangeError) -> None:
        """Called at least once when this connection is over, unless `abandon` ended it."""


class BybitSocket(WebSocket):  # type: ignore[misc]  # pybit has no types
    """Connects at once, in the background. `requests` maps an id of ours to the topics of one subscription message."""

    def __init__(
        self,
        url: str,
        listener: SocketListener,
        requests: Topics,
        credentials: Credentials | None = None,
        *,
        ping_interval: float = 20,
        ping_timeout: float = 10,
        private_auth_expire: int = 10,
        clock_offset_ms: Callable[[], int] = lambda: 0,
    ) -> None:
        self._url = url
        self._listener = listener
        self._requests = requests
        self._clock_offset_ms = clock_offset_ms
        self._abandoned = False
        self._secrets = (credentials.api_secret, credentials.api_key) if credentials else ()
        super().__init__(
            "private" if credentials else "linear",
            testnet=False,
            api_key=credentials.api_key if credentials else None,
            api_secret=credentials.api_secret if credentials else None,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            private_auth_expire=private_auth_expire,
            restart_on_error=False,
        )

    @property
    def thread(self) -> threading.Thread:
        """The reader; ends soon after the connection is over."""
        thread: threading.Thread = self.wst
        return thread

    def abandon(self) -> None:
        """Close without waiting for anything and without a further word to the listener.

        Shutting down the file descriptor wakes the reader, which then tears everything down itself.
        """
        self._abandoned = True
        self.exited = True
        self._stop_custom_ping_timer()
        app = self.ws
        app.keep_running = False
        raw = getattr(app.sock, "sock", None)
        if raw is not None:
            with contextlib.suppress(OSError):
                raw.shutdown(socket.SHUT_RDWR)

    def say_goodbye(self) -> None:
        """Send a close frame (the polite end). Blocks while the send buffer is full: not on the loop."""
        sock = self.ws.sock
        if sock is not None:
            with contextlib.suppress(OSError, websocket.WebSocketException):
                sock.send_close()

    # ------------------------------------------------------------------ what pybit calls

    def _connect(self, url: str) -> None:
        """Start the reader; `url` is pybit's template for the live hosts, ours knows the place already."""
        self.endpoint = self._url
        self.ws = _App(
            url=self.endpoint,
            on_open=lambda _: self._guarded(self._on_open),
            on_message=lambda _, message: self._on_message(message),
            on_error=lambda _, error: self._on_error(error),
            on_close=lambda _, *__: self._on_close(),
            on_pong=lambda _, *__: self._guarded(self._on_pong),
        )
        self.wst = threading.Thread(target=self._read, name=f"bybit-{self.ws_name}", daemon=True)
        self.wst.start()

    def _read(self) -> None:
        self.ws.run_forever(
            ping_interval=self.ping_interval,
            ping_timeout=self.ping_timeout,
            skip_utf8_validation=True,
            # A proxy of the environment is for the internet, not for an exchange on this machine.
            http_no_proxy=["*"] if self.endpoint.startswith("ws://") else None,
        )

    def _on_open(self) -> None:
        if self._abandoned:
            self.abandon()
            return
        self._listener.on_open()
        self._send_initial_ping()
        if self.api_key:
            self._auth()
        else:
            self._subscribe()

    def _auth(self) -> None:
        expires = time.time_ns() // 1_000_000 + self._clock_offset_ms() + self.private_auth_expire * 1000
        signature = generate_signature(False, self.api_secret, f"GET/realtime{expires}")
        self.ws.send(json.dumps({"op": "auth", "args": [self.api_key, expires, signature]}))

    def _subscribe(self) -> None:
        for request_id, topics in self._requests.items():
            self.subscriptions[request_id] = message = json.dumps(
                {"op": "subscribe", "req_id": request_id, "args": list(topics)}
            )
            self.ws.send(message)

    def _on_message(self, message: bytes | str) -> None:
        received_ns = time.monotonic_ns()
        try:
            frame = orjson.loads(message)
            topic = frame.get("topic")
            if topic is not None:
                self._listener.on_frame(topic, frame, received_ns)
            else:
                self._on_control(frame)
        except Exception as exc:  # noqa: BLE001 - in pybit's thread; one bad frame must not end the stream
            log.warning("%s: a frame could not be used: %s", self.ws_name, type(exc).__name__)

    def _on_control(self, frame: dict[str, Any]) -> None:
        """Answers to what we sent: pong, auth, subscribe."""
        self._listener.on_alive()
        operation = frame.get("op")
        if operation == "auth":
            if frame.get("success") is True:
                self.auth = True
                self._subscribe()
            else:
                self._fail(make_error(f"sign-in refused: {self._text(frame)}", ErrorKind.AUTH))
        elif operation == "subscribe":
            request_id = frame.get("req_id")
            if frame.get("success") is not True:
                self._fail(make_error(f"subscription refused: {self._text(frame)}", ErrorKind.PARAM))
            else:
                # Bybit's private streams may leave the id out; answers come in the order of the requests then.
                self._listener.on_confirmed(str(request_id) if request_id else "")

    def _on_pong(self) -> None:
        self._listener.on_alive()
        super()._on_pong()

    def _on_error(self, error: Exception) -> None:
        self.exited = True
        self._stop_custom_ping_timer()
        self._tell_lost(_from_websocket(error))

    def _on_close(self) -> None:
        self.exited = True
        self._tell_lost(make_error("the exchange closed the connection", ErrorKind.RETRY))

    # ------------------------------------------------------------------ inside

    def _text(self, frame: dict[str, Any]) -> str:
        return scrub(str(frame.get("ret_msg") or frame.get("retMsg") or "no reason given"), self._secrets)

    def _fail(self, error: ExchangeError) -> None:
        self._tell_lost(error)
        self.abandon()

    def _tell_lost(self, error: ExchangeError) -> None:
        if not self._abandoned:
            self._listener.on_lost(error)

    def _guarded(self, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception as exc:  # noqa: BLE001 - in pybit's thread, where an exception would be swallowed
            self._fail(_from_websocket(exc))


def _from_websocket(error: BaseException) -> ExchangeError:
    """Errors of connecting and reading. Nothing was asked for on these sockets, so nothing is ambiguous."""
    if isinstance(error, ExchangeError):
        return error
    if isinstance(error, websocket.WebSocketBadStatusException):
        refused = from_http_status(error.status_code, "the exchange refused the stream")
        if refused.kind is ErrorKind.AMBIGUOUS:
            return make_error(refused.message, ErrorKind.RETRY, http_status=error.status_code)
        return refused
    if isinstance(error, websocket.WebSocketTimeoutException):
        return make_error("no pong in time", ErrorKind.RETRY)
    if isinstance(error, ConnectionRefusedError):
        return make_error("nobody listens at the exchange's address", ErrorKind.RETRY)
    return make_error(f"connection lost ({type(error).__name__})", ErrorKind.RETRY)
