"""REST without sockets: the simulated network carries what pybit has built, the venue answers."""

from __future__ import annotations

import contextvars

import orjson

from gridbot.bybit.carrier import Answer, Broken, CarrierError, NoAnswer, NotSent, Outgoing, Tell
from gridbot.simulation.network import Network, RequestFate
from gridbot.simulation.venue import CREATES, Venue
from gridbot.simulation.virtual_loop import VirtualLoop

__all__ = ["RestLink", "refusal_text"]

TEXTS = {10000: "Server Timeout", 10006: "Too many visits! Exceeded the API Rate Limit.", 10018: "access too frequent"}
TEXTS |= {
    10001: "params error: the price is not a multiple of the tick",
    110003: "Order price is out of permissible range",
    110017: "Reduce-only rule not satisfied",
    110094: "Order does not meet minimum order value 5USDT",
    170193: "Buy order price cannot be higher than 60000",
    181001: "category only support linear or option",
}
BREAKS_S = 0.05


class _Trip:
    """A request under way."""

    def __init__(self, outgoing: Outgoing, fate: RequestFate, sent_s: float, timeout_s: float) -> None:
        self.outgoing = outgoing
        self.path = outgoing.target.partition("?")[0]
        self.fate = fate
        self.sent_s = sent_s
        self.timeout_s = timeout_s

    def breaks_s(self, how: str) -> float:
        """Seconds until a failure is known."""
        return self.timeout_s if how == "silent" else BREAKS_S


class RestLink:
    """`Carrier` of a life. There is a connection for each request: the transport has no more under way than that."""

    def __init__(self, loop: VirtualLoop, network: Network, venue: Venue) -> None:
        self._loop, self._network, self._venue = loop, network, venue
        self._context = contextvars.copy_context()
        self._outside = contextvars.Context()
        self._under_way = 0
        self._closed = False

    @property
    def is_idle(self) -> bool:
        """Whether every request has been answered."""
        return not self._under_way

    def carry(self, outgoing: Outgoing, timeout_s: float, tell: Tell) -> None:
        """See `gridbot.bybit.carrier.Carrier`."""
        if self._closed:
            tell(NotSent("closed"))
            return
        self._under_way += 1
        trip = _Trip(outgoing, self._network.request(outgoing.target.partition("?")[0]), self._loop.now_s, timeout_s)
        before, later = trip.fate.before, self._loop.call_later
        if before:
            self._note_silence(trip, before)
            later(trip.breaks_s(before), self._arrived, tell, _failure(before), context=self._context)
        else:
            later(trip.fate.there_s, self._at_the_exchange, trip, tell, context=self._outside)

    def close(self) -> None:
        """Take no more requests."""
        self._closed = True

    # ------------------------------------------------------------------ inside

    def _at_the_exchange(self, trip: _Trip, tell: Tell) -> None:
        outgoing, fate = trip.outgoing, trip.fate
        if fate.code and not fate.code_after:
            answer = _refusal(fate, self._venue.now_ms())
        else:
            reply = self._venue.handle(outgoing, trip.sent_s)
            headers = {name.lower(): value for name, value in reply.headers.items()}
            answer = Answer(reply.status, headers, reply.body)
            if fate.code:
                answer = _refusal(fate, self._venue.now_ms())
        if trip.path in CREATES:
            self._venue.note_answer(trip.path, orjson.loads(outgoing.body or b"{}"), orjson.loads(answer.content))
        outcome: Answer | CarrierError = answer
        back_s = fate.back_s
        if fate.after:
            self._note_silence(trip, fate.after)
            outcome, back_s = _failure(fate.after), trip.breaks_s(fate.after)
        left_s = trip.sent_s + trip.timeout_s - self._loop.now_s
        if back_s > left_s:
            outcome, back_s = _failure("silent"), max(0.0, left_s)
        self._loop.call_later(back_s, self._arrived, tell, outcome, context=self._context)

    def _note_silence(self, trip: _Trip, how: str) -> None:
        if how == "silent":
            self._network.silent_until_s = max(self._network.silent_until_s, trip.sent_s + trip.timeout_s)

    def _arrived(self, tell: Tell, outcome: Answer | CarrierError) -> None:
        self._under_way -= 1
        tell(outcome)


def _failure(how: str) -> CarrierError:
    if how == "refused":
        return NotSent("refused")
    return NoAnswer("no answer in time") if how == "silent" else Broken("the connection broke during a request")


def refusal_text(code: int) -> str:
    """What the exchange says with a code that a fault makes it answer."""
    return TEXTS.get(code, "System error. Please try again later.")


def _refusal(fate: RequestFate, now_ms: int) -> Answer:
    headers = {"x-bapi-limit": "10", "x-bapi-limit-status": "0", "x-bapi-limit-reset-timestamp": str(now_ms + 1000)}
    text = refusal_text(fate.code)
    body = orjson.dumps({"retCode": fate.code, "retMsg": text, "result": {}, "retExtInfo": {}, "time": now_ms})
    return Answer(fate.http_status, headers if fate.code == 10006 else {}, body)
