"""What becomes of the requests on one trade connection, as a step. Pure.

::

    CONNECTING ──Opened──► SIGNING_IN ──SignedIn──► READY ──┐
        │                      │                      │      │ 10019: takes nothing new, answers are still awaited
        └────── Ended, refusal, timeout, silence ─────┴──────┴──► LOST (final: a new connection is made)

    event        what it changes                                  effects
    Opened       it is to sign in                                 SignIn
    SignedIn     ready, or lost when it was refused               -, or Lost
    Sent         a request has left, perhaps                      -
    Answered     that request is settled; an id that is not       Settled, when the id is under way
                 under way (late, doubled, none): nothing
    Heard        a sign of life                                   -
    Ended        everything under way is unresolved               Settled for each, Lost
    Time         what waits too long is unresolved; without a     Settled for each, Lost
                 sign of life since it left, so is the rest

Each request that was sent is settled exactly once, by its answer or as *unresolved* (AMBIGUOUS): it may have had its
effect, and nobody may send it again, by whichever way, before a look-up has told. What comes about it afterwards is
ignored: the look-up is under way, and it is the one that decides.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from gridbot.bybit.trade_frames import TradeAnswer
from gridbot.bybit.watchdog import ConnectionView, Limits, why_dead
from gridbot.exchange.failures import ErrorKind, ExchangeError, make_error
from gridbot.exchange.stream_news import ConnectionState

__all__ = [
    "Answered",
    "Effect",
    "Ended",
    "Event",
    "Heard",
    "Lost",
    "Opened",
    "Refusal",
    "Sent",
    "Settled",
    "SignIn",
    "SignedIn",
    "Time",
    "TradeLine",
    "step",
]

RESTARTING = 10019
"""The service restarts: it takes nothing new, and answers what it has."""
REPEATED_AUTH = 20001
NO_ANSWER = "no answer over WebSocket in time"


Refusal = Callable[[int, str], ExchangeError]
"""Makes the error of a code and its text, as it came."""


class Waiting(NamedTuple):
    """A request that was sent: its operation, and when (monotonic)."""

    operation: str
    sent_s: float


class TradeLine:
    """The state of one connection, changed by `step` alone, in place; others read it. Times in monotonic seconds.

    An answer may take `answer_s`; `limits` are the watchdog's. `refusal` makes the error of a code and its text, by the
    table that HTTP has.
    """

    def __init__(self, limits: Limits, answer_s: float, refusal: Refusal, now_s: float) -> None:
        self.limits = limits
        self.answer_s = answer_s
        self.refusal = refusal
        self.state = ConnectionState.CONNECTING
        self.state_s = now_s
        self.heard_s = now_s
        self.is_leaving = False
        """It takes no new request."""
        self.under_way: dict[str, Waiting] = {}
        """Requests by id, the oldest first."""
        self.error: ExchangeError | None = None

    @property
    def takes_orders(self) -> bool:
        """Whether a request may be sent."""
        return self.state is ConnectionState.READY and not self.is_leaving

    def due_s(self, now_s: float) -> float:
        """Seconds until the oldest request has waited too long, at most those between two checks."""
        first = next(iter(self.under_way.values()), None)
        wait_s = self.limits.check_s
        return wait_s if first is None else max(0.0, min(wait_s, first.sent_s + self.answer_s - now_s))


# ---------------------------------------------------------------------- events


class Opened(NamedTuple):
    """The connection is up."""


class SignedIn(NamedTuple):
    """The answer to the sign-in."""

    code: int | None
    text: str


class Sent(NamedTuple):
    """A request is handed to the connection now: from here on it may have left."""

    request_id: str
    operation: str


class Answered(NamedTuple):
    """An answer has come."""

    answer: TradeAnswer


class Heard(NamedTuple):
    """Anything has come."""


class Ended(NamedTuple):
    """The connection is over."""

    error: ExchangeError


class Time(NamedTuple):
    """It is now."""


Event = Opened | SignedIn | Sent | Answered | Heard | Ended | Time

# ---------------------------------------------------------------------- effects


class SignIn(NamedTuple):
    """Send the sign-in."""


class Settled(NamedTuple):
    """What became of a request: the envelope of an answer with retCode 0, or the error."""

    request_id: str
    outcome: dict[str, Any] | ExchangeError


class Lost(NamedTuple):
    """The connection is given up; `unresolved` requests were under way."""

    error: ExchangeError
    unresolved: int


Effect = SignIn | Settled | Lost


def step(line: TradeLine, event: Event, now_s: float) -> list[Effect]:
    """Apply an event and return what has to be done. A line that is lost changes no more."""
    if line.state is ConnectionState.LOST:
        return []
    return _HANDLERS[type(event)](line, event, now_s)


def _opened(line: TradeLine, event: Opened, now_s: float) -> list[Effect]:
    if line.state is not ConnectionState.CONNECTING:
        return []
    _become(line, ConnectionState.SIGNING_IN, now_s)
    line.heard_s = now_s
    return [SignIn()]


def _signed_in(line: TradeLine, event: SignedIn, now_s: float) -> list[Effect]:
    line.heard_s = now_s
    if line.state is not ConnectionState.SIGNING_IN:
        return []
    if event.code in (0, REPEATED_AUTH):
        _become(line, ConnectionState.READY, now_s)
        return []
    if event.code is None:
        return _lose(line, make_error("the answer to the sign-in has no code", ErrorKind.RETRY), now_s)
    refused = line.refusal(event.code, event.text)
    error = make_error(f"sign-in refused: {refused.message}", ErrorKind.AUTH, ret_code=refused.ret_code)
    return _lose(line, error, now_s)


def _sent(line: TradeLine, event: Sent, now_s: float) -> list[Effect]:
    if not line.takes_orders or event.request_id in line.under_way:
        raise RuntimeError("expected a connection that takes orders and a new id, got another")
    line.under_way[event.request_id] = Waiting(event.operation, now_s)
    return []


def _answered(line: TradeLine, event: Answered, now_s: float) -> list[Effect]:
    line.heard_s = now_s
    answer = event.answer
    waiting = line.under_way.pop(answer.request_id, None)
    effects: list[Effect] = []
    if waiting is not None:
        effects.append(Settled(answer.request_id, _outcome(answer, waiting, line.refusal)))
    if answer.code == RESTARTING:
        line.is_leaving = True
    outcome = effects[0].outcome if effects and isinstance(effects[0], Settled) else None
    if isinstance(outcome, ExchangeError) and outcome.kind is ErrorKind.AUTH:
        # Whether the key is right, HTTP tells; this connection is not signed in any more.
        return effects + _lose(line, make_error(f"not signed in: {outcome.message}", ErrorKind.RETRY), now_s)
    return effects + _leave(line, now_s)


def _outcome(answer: TradeAnswer, waiting: Waiting, refusal: Refusal) -> dict[str, Any] | ExchangeError:
    if answer.code is None or answer.operation != waiting.operation:
        return make_error(f"expected an answer to {waiting.operation} with a code, got another", ErrorKind.AMBIGUOUS)
    if answer.code:
        return refusal(answer.code, answer.text)
    return answer.envelope


def _heard(line: TradeLine, event: Heard, now_s: float) -> list[Effect]:
    line.heard_s = now_s
    return []


def _ended(line: TradeLine, event: Ended, now_s: float) -> list[Effect]:
    return _lose(line, event.error, now_s)


def _time(line: TradeLine, event: Time, now_s: float) -> list[Effect]:
    # The same sum as in `due_s`: rounded otherwise, an answer is due and not late, and who waits for it never ends.
    late = [name for name, waiting in line.under_way.items() if waiting.sent_s + line.answer_s <= now_s]
    silent = False
    effects: list[Effect] = []
    for name in late:
        silent = silent or line.under_way[name].sent_s >= line.heard_s
        del line.under_way[name]
        effects.append(Settled(name, make_error(NO_ANSWER, ErrorKind.AMBIGUOUS)))
    reason = "nothing came since a request left" if silent else why_dead(_view(line, now_s), line.limits)
    if reason is not None:
        return effects + _lose(line, make_error(reason, ErrorKind.RETRY), now_s, lost=len(late))
    return effects + _leave(line, now_s)


def _view(line: TradeLine, now_s: float) -> ConnectionView:
    return ConnectionView(
        state=line.state,
        is_connected=True,  # its end is an event
        state_age_s=now_s - line.state_s,
        alive_age_s=now_s - line.heard_s,
        message_age_s=0.0,
        watch_silence=False,
    )


def _leave(line: TradeLine, now_s: float) -> list[Effect]:
    """Of a connection that takes nothing new, once it has answered all."""
    if not line.is_leaving or line.under_way:
        return []
    return _lose(line, make_error("the service restarts", ErrorKind.RETRY), now_s)


def _lose(line: TradeLine, error: ExchangeError, now_s: float, lost: int = 0) -> list[Effect]:
    _become(line, ConnectionState.LOST, now_s)
    line.error = error
    unresolved, line.under_way = list(line.under_way), {}
    text = f"the trade socket was lost before the answer: {error.message}"
    effects: list[Effect] = [Settled(name, make_error(text, ErrorKind.AMBIGUOUS)) for name in unresolved]
    return [*effects, Lost(error, len(unresolved) + lost)]


def _become(line: TradeLine, state: ConnectionState, now_s: float) -> None:
    line.state, line.state_s = state, now_s


# `Any`: each handler takes the event that it is listed under.
_HANDLERS: dict[type[Event], Callable[[TradeLine, Any, float], list[Effect]]] = {
    Opened: _opened,
    SignedIn: _signed_in,
    Sent: _sent,
    Answered: _answered,
    Heard: _heard,
    Ended: _ended,
    Time: _time,
}
