"""Questions of a pass, answered one at a time."""

from __future__ import annotations

from gridbot.core import Side
from gridbot.orders import reconcile_state as states
from gridbot.orders import reconcile_words as words
from tests.orders.helpers import INSTRUMENT
from tests.orders.reconcile_model import Account, Asking

__all__ = ["finish", "go_on", "only", "resting"]

SYMBOL = INSTRUMENT.symbol


def resting(account: Account, ticks: int = 1000) -> states.Held:
    """An order rests, is known to, and long enough."""
    order = account.place(ticks, Side.BUY)
    account.hear(account.exchange.accept(order, 0))
    account.exchange.now_ms += 10_000
    return account.view.strategies[SYMBOL]


def only(account: Account, kind: type[words.Question]) -> Asking:
    """The one question under way; the wallet is asked for beside the legs."""
    asked = [each for each in account.asking if isinstance(each.question, kind)]
    assert {type(each.question) for each in account.asking} <= {kind, words.AskWallet}
    [asking] = asked
    return asking


def go_on(account: Account, *kinds: type[words.Question]) -> None:
    """Answer these questions, one at a time."""
    for kind in kinds:
        account.answer(only(account, kind), account.exchange.now_ms)


def finish(account: Account) -> list[str]:
    """Answer everything; the names of the questions."""
    asked = []
    while account.asking:
        asked.append(type(account.asking[0].question).__name__)
        account.answer(account.asking[0], account.exchange.now_ms)
    return asked
