"""pybit's WebSocket, kept to what it does well: addresses, authentication, keep-alive.

One object is one connection; it never reconnects. What is done about pybit 5.17 (docs/platform.md 2, whose numbers of
defects stand in brackets):

* `_connect` is replaced. pybit's waits inside the constructor, gives up within 90 ms of refusals (4) or tries 95
  connections a second (6), fails on the last try although it succeeded (5), and cannot be pointed at a loopback
  address. Ours starts the thread and returns; the owner of the object watches it and makes the next one.
* websocket-client walks over each byte of a message in Python to validate UTF-8, two thirds of the cost of a ticker.
  `skip_utf8_validation` stops that; orjson, which gets the raw bytes, refuses invalid UTF-8 itself. Its three reads
  per frame become one (`frame_reader`).
* `_on_message` is replaced: no merge and deep copy per ticker, no shared dictionary given to callbacks (9), no table of
  callbacks whose missing keys kill the stream (1, 10, 11). An exception in it does not end the stream (2).
* Topics are sent once the connection is up (a private one: once the sign-in is confirmed), so there is no race with
  the server's answer (1) and a failed sign-in is noticed (3).
* `_on_error` is replaced. pybit's silently reconnects for three kinds of errors and closes for good for the others.
  Here every error ends the object and is reported to the listener.
* A sign-in expires `private_auth_expire_s` from the *exchange's* now, not one second from ours (7).
* `abandon` never waits for the thread, which may hang for `ping_timeout_s` (8).
"""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import websocket
from pybit._http_manager import generate_signature
from pybit.unified_trading import WebSocket

from gridbot import background
from gridbot.bybit.clocks import monotonic_ns, wall_ms
from gridbot.bybit.endpoints import Credentials
from gridbot.bybit.error_mapping import from_http_status, scrub
from gridbot.bybit.frame_reader import SocketApp
from gridbot.bybit.private_frames import UNREADABLE
from gridbot.bybit.raw_fields import FieldError
from gridbot.bybit.stream_settings import StreamSettings
from gridbot.doors.bounded_json import JsonMistake, read_json
from gridbot.doors.plain_text import shown
from gridbot.exchange.failures import ErrorKind, ExchangeError, make_error

__all__ = ["BybitSocket", "SocketListener", "Topics"]

Topics = Mapping[str, Sequence[str]]
"""Topics of each subscription message, by its request id."""

GOODBYE_S = 0.75

log = logging.getLogger(__name__)


class SocketListener(Protocol):
    """Called in pybit's threads; every method must return at once."""

    def on_open(self) -> None:
        """The connection is up."""

    def on_frame(self, topic: str, frame: dict[str, Any], received_ns: int) -> None:
        """A message of a topic. `received_ns` is monotonic."""

    def on_alive(self) -> None:
        """A sign of life other than a message: a pong, or an answer."""

    def on_confirmed(self, request_id: str) -> None:
        """The topics of a subscription request are confirmed; the id is "" when the answer has none."""

    def on_lost(self, error: ExchangeError) -> None:
        """The connection is over. Called at least once, unless `abandon` ended it."""


class BybitSocket(WebSocket):  # type: ignore[misc]  # pybit has no types
    """Connects at once, in the background. `requests` maps an id of ours to the topics of one subscription message.

    `clock_offset_ms` is added to our clock when signing in.
    """

    def __init__(
        self,
        url: str,
        listener: SocketListener,
        requests: Topics,
        credentials: Credentials | None = None,
        *,
        settings: StreamSettings | None = None,
        clock_offset_ms: Callable[[], int] = lambda: 0,
    ) -> None:
        settings = settings or StreamSettings()
        self._url = url
        self._listener = listener
        self._requests = requests
        self._clock_offset_ms = clock_offset_ms
        self._abandoned = False
        self._unreadable = 0
        self._secrets = (credentials.api_secret, credentials.api_key) if credentials else ()
        super().__init__(
            "private" if credentials else "linear",
            testnet=False,
            api_key=credentials.api_key if credentials else None,
            api_secret=credentials.api_secret if credentials else None,
            ping_interval=settings.ping_interval_s,
            ping_timeout=settings.ping_timeout_s,
            private_auth_expire=settings.private_auth_expire_s,
            restart_on_error=False,
        )

    @property
    def is_running(self) -> bool:
        """Whether the reader's thread runs; it ends soon after the connection is over."""
        return bool(self.wst.is_alive())

    def abandon(self) -> None:
        """Close without waiting for anything and without another call to the listener.

        Shutting down the file descriptor wakes the reader, which then closes everything itself.
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
        """Send a close frame. Blocks while the send buffer is full, so never call it on the loop."""
        sock = self.ws.sock
        if sock is not None:
            with contextlib.suppress(OSError, websocket.WebSocketException):
                sock.send_close()

    def leave(self) -> None:
        """Say goodbye and abandon, in a thread of its own: the first step may block on a socket that hangs."""
        threading.Thread(target=self._close_politely, name="bybit-close", daemon=True).start()

    def _close_politely(self) -> None:
        closer = threading.Timer(GOODBYE_S, self.abandon)
        closer.daemon = True
        closer.start()
        self.say_goodbye()
        closer.cancel()
        self.abandon()

    # ------------------------------------------------------------------ what pybit calls

    def _connect(self, url: str) -> None:
        """Start the reader. `url` is pybit's template for the live hosts, which we do not use."""
        self.endpoint = self._url
        self.ws = SocketApp(
            url=self.endpoint,
            on_open=lambda _: self._guarded(self._on_open),
            on_message=lambda _, message: self._on_message(message),
            on_error=lambda _, error: self._on_error(error),
            on_close=lambda _, *__: self._on_close(),
            on_pong=lambda _, *__: self._guarded(self._on_pong),
        )
        options = {
            "ping_interval": self.ping_interval,
            "ping_timeout": self.ping_timeout,
            "skip_utf8_validation": True,
            # A proxy of the environment is for the internet, not for an exchange on this machine.
            "http_no_proxy": ["*"] if self.endpoint.startswith("ws://") else None,
        }
        name = f"bybit-{self.ws_name}"
        self.wst = threading.Thread(target=self.ws.run_forever, kwargs=options, name=name, daemon=True)
        self.wst.start()

    def _on_open(self) -> None:
        if self._abandoned:
            self.abandon()
            return
        self._listener.on_open()
        self._send_initial_ping()
        if self.api_key:
            expires_ms = wall_ms() + self._clock_offset_ms() + self.private_auth_expire * 1000
            self.ws.send(_sign_in(self.api_key, self.api_secret, expires_ms))
        else:
            self._subscribe()

    def _subscribe(self) -> None:
        for request_id, topics in self._requests.items():
            self.subscriptions[request_id] = message = json.dumps(
                {"op": "subscribe", "req_id": request_id, "args": list(topics)}
            )
            self.ws.send(message)

    def _on_message(self, message: bytes | str) -> None:
        received_ns = monotonic_ns()
        try:
            frame = read_json(message)
            if type(frame) is not dict:
                raise FieldError(f"expected an object, got {shown(frame)}")
            topic = frame.get("topic")
            if type(topic) is str:
                self._listener.on_frame(topic, frame, received_ns)
            else:
                self._on_control(frame)
        except (JsonMistake, FieldError) as exc:
            self._note_unreadable(exc, received_ns)
        except Exception as exc:  # noqa: BLE001 - reported; in pybit's thread, one bad frame must not end the stream
            background.report_in_thread(f"a frame of {self.ws_name} could not be used", exc)

    def _note_unreadable(self, why: Exception, received_ns: int) -> None:
        """Tell of it, less often when there are many. On the private stream something was missed."""
        self._unreadable += 1
        if self._unreadable & (self._unreadable - 1) == 0:
            log.warning("%s: a frame cannot be read (%d so far): %s", self.ws_name, self._unreadable, why)
        self._listener.on_frame(UNREADABLE, {}, received_ns)

    def _on_control(self, frame: dict[str, Any]) -> None:
        """Answers to what we sent: pong, auth, subscribe."""
        self._listener.on_alive()
        operation = frame.get("op")
        if operation == "auth":
            if frame.get("success") is True:
                self.auth = True
                self._guarded(self._subscribe)  # the connection may have gone meanwhile: an end like any other
            else:
                self._fail(make_error(f"sign-in refused: {_reason(frame, self._secrets)}", ErrorKind.AUTH))
        elif operation == "subscribe":
            request_id = frame.get("req_id")
            if frame.get("success") is not True:
                self._fail(make_error(f"subscription refused: {_reason(frame, self._secrets)}", ErrorKind.PARAM))
            else:
                # Bybit's private streams may leave the id out; then answers come in the order of the requests.
                self._listener.on_confirmed(request_id if isinstance(request_id, str) else "")

    def _on_pong(self) -> None:
        self._listener.on_alive()
        super()._on_pong()

    def _on_error(self, error: Exception) -> None:
        self.exited = True
        self._stop_custom_ping_timer()
        self._report_lost(_from_websocket(error))

    def _on_close(self) -> None:
        self.exited = True
        self._report_lost(make_error("the exchange closed the connection", ErrorKind.RETRY))

    # ------------------------------------------------------------------ inside

    def _fail(self, error: ExchangeError) -> None:
        self._report_lost(error)
        self.abandon()

    def _report_lost(self, error: ExchangeError) -> None:
        if not self._abandoned:
            self._listener.on_lost(error)

    def _guarded(self, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception as exc:  # noqa: BLE001 - in pybit's thread, where an exception would be swallowed
            self._fail(_from_websocket(exc))


def _reason(frame: dict[str, Any], secrets: Sequence[str]) -> str:
    told = frame.get("ret_msg") or frame.get("retMsg")
    return scrub(told if isinstance(told, str) else "no reason given", secrets)


def _sign_in(api_key: str, api_secret: str, expires_ms: int) -> str:
    signature = generate_signature(False, api_secret, f"GET/realtime{expires_ms}")
    return json.dumps({"op": "auth", "args": [api_key, expires_ms, signature]})


def _from_websocket(error: BaseException) -> ExchangeError:
    """Errors of connecting and reading. These sockets only listen, so nothing is ambiguous."""
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
        return make_error("nothing listens at the exchange's address", ErrorKind.RETRY)
    return make_error(f"connection lost ({type(error).__name__})", ErrorKind.RETRY)
