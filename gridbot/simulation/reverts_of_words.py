"""Fixes of issue 12 taken out again: what is said to the exchange, and what to the operator (`reverts` names them)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from gridbot.bybit import calls, execution_list
from gridbot.bybit import rest as rest_module
from gridbot.bybit.raw_fields import parse_rows
from gridbot.core import WalletEvent
from gridbot.exchange.failures import TruncatedListing
from gridbot.exchange.listing import Listing
from gridbot.incidents import ENDS_AFTER_S, Incident, Phase, _Turn
from gridbot.orders import life_news
from gridbot.orders.life_effects import CountRefusal
from gridbot.risk.band_watch import BandWatch
from gridbot.risk.gate import Gate
from gridbot.risk.gate_state import StreamAlive
from gridbot.simulation.taken_out import replaced, replaced_in, together
from gridbot.worker import passage_watch, startup
from gridbot.worker.order_steps import OrderSteps
from gridbot.worker.passage_watch import PassageWatch
from gridbot.worker.refresh_requests import RefreshRequests
from gridbot.worker.shadow_wire import Shadows

__all__ = [
    "count_no_end_at_once",
    "forget_the_cap_at_once",
    "name_no_cover",
    "place_beyond_the_band",
    "read_no_terms",
    "refuse_the_account",
    "say_nothing_of_refusals",
    "shadow_funds_go_stale",
    "take_no_odd_row",
    "tell_again",
]

Row = Mapping[str, Any]


def place_beyond_the_band() -> AbstractContextManager[Any]:
    """Neither is the band known beforehand, nor does a price that was moved count for its level's breaker."""
    real = OrderSteps._count_refusal

    def count(steps: OrderSteps, effect: CountRefusal) -> None:
        if effect.answered:
            real(steps, effect)

    return together(
        replaced(BandWatch, is_beyond=lambda *_: False),
        replaced(OrderSteps, _count_refusal=count),
    )


def count_no_end_at_once() -> AbstractContextManager[Any]:
    """An order that was accepted and ended at once is an end like any other."""
    return replaced(life_news, _refused_at_once=lambda order, transition, update: (False, None))


def say_nothing_of_refusals() -> AbstractContextManager[Any]:
    return replaced(PassageWatch, blocked=lambda *_: "")


def read_no_terms() -> AbstractContextManager[Any]:
    """Neither refusals nor readings of positions lead to a reading of what the exchange allows."""
    return replaced(RefreshRequests, read_terms=lambda requests, symbol: None)


def take_no_odd_row() -> AbstractContextManager[Any]:
    """One row that cannot be read spoils the listing."""

    def listed(parser: Callable[[Row], Any], rows: list[Any], endpoint: str, *_: Any) -> Listing[Any]:
        good, problems = parse_rows(parser, rows)
        if problems:
            raise TruncatedListing(f"{endpoint}: {len(problems)} unreadable: {problems[0]}; nothing was used")
        return Listing(good)

    return together(*(replaced(module, listed=listed) for module in (calls, execution_list, rest_module)))


def refuse_the_account() -> AbstractContextManager[Any]:
    """A symbol that may not be traded keeps the account from starting."""
    return replaced(startup, is_of_symbol=lambda error: False)


def shadow_funds_go_stale() -> AbstractContextManager[Any]:
    """They are as old as the exchange's own wallet, and that the private stream lives is said to live strategies
    alone."""
    real = Shadows.wallet_changed

    def changed(shadows: Shadows) -> None:
        seen_s = shadows.gate.state.funds.known_s
        real(shadows)
        if seen_s is not None:
            shadows.gate.state = shadows.gate.state._replace(funds=shadows.gate.state.funds._replace(known_s=seen_s))

    def on_wallet(shadows: Shadows, wallet: WalletEvent) -> None:
        shadows.account.seen(wallet)
        real(shadows)

    return together(
        replaced(Shadows, wallet_changed=changed, on_wallet=on_wallet),
        replaced(Gate, stream_alive=lambda gate, now_s: gate._step(StreamAlive(), now_s)),
    )


def name_no_cover() -> AbstractContextManager[Any]:
    """What somebody else's order covers is a close that finds nothing: it may pass by itself."""
    return replaced(passage_watch, covers_of=lambda book: {})


def forget_the_cap_at_once() -> AbstractContextManager[Any]:
    """A cap that is not nearly used for a moment is over, and the next order begins another incident."""
    return replaced_in(ENDS_AFTER_S, {"cap": 0.0})


def tell_again() -> AbstractContextManager[Any]:
    """Each repetition of an incident is told."""
    real = _Turn._again

    def again(turn: _Turn, known: Incident, level: str, text: str, *, counts: bool, cause: str = "") -> None:
        real(turn, known, level, text, counts=counts, cause=cause)
        if counts:
            turn._tell(Phase.BEGUN, turn.open[known.name], text)

    return replaced(_Turn, _again=again)
