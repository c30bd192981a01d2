"""What a command would do to a strategy, in words, from what `status` shows of it: for `--dry-run`. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from gridbot.commands.command import Command

__all__ = ["effect", "held"]

Row = Mapping[str, Any]


def held(strategy: Row) -> dict[str, str]:
    """The size of each leg that is open: `long` and `short`, in the coin of the symbol."""
    sizes = {leg: str((strategy.get(leg) or {}).get("size") or "0") for leg in ("long", "short")}
    return {leg: size for leg, size in sizes.items() if size.strip("0.")}


def effect(command: Command, args: Row, strategy: Row) -> str:
    """What the command would do to a strategy of a worker that takes it. `strategy` is its row in the status model."""
    told = _EFFECTS.get(command.name)
    return told(args, strategy) if told is not None else command.summary.rstrip(".")


def _orders(strategy: Row) -> str:
    count = strategy.get("open_orders")
    return f"{'its' if count is None else count} resting order{'' if count == 1 else 's'}"


def _pause(args: Row, strategy: Row) -> str:
    then = f"{_are(strategy)} cancelled" if args.get("cancel") else f"{_are(strategy)} left"
    return f"sends no new order; {_orders(strategy)} {then}"


def _resume(_: Row, strategy: Row) -> str:
    if strategy.get("state") == "active":
        return "trades already; the loss of its session counts from here"
    reason = strategy.get("reason")
    return "trades again" + (f", although: {reason}" if reason else "")


def _reconcile(_: Row, strategy: Row) -> str:
    return f"{_orders(strategy)} and its positions are compared with the exchange"


_SHADOW: Final = "nothing on the exchange: it is a shadow"


def _is_shadow(strategy: Row) -> bool:
    return bool(strategy.get("mode") == "shadow")


def _cancel(args: Row, strategy: Row) -> str:
    after = "it places anew what it wants" if args.get("leave_running") else "it pauses"
    if _is_shadow(strategy):
        return f"{_SHADOW}; {after}"
    return f"{_orders(strategy)} {_are(strategy)} cancelled; {after}{_foreign(args)}"


def _adopt(args: Row, strategy: Row) -> str:
    if _is_shadow(strategy):
        return "nothing: a shadow has no orders on the exchange"
    then = "those of its shape are taken over" if args.get("apply") else "nothing is changed"
    return f"what rests on its symbol and is not its own is compared with what it wants; {then}"


def _reduce(_args: Row, _strategy: Row) -> str:
    return "of its resting orders those that open are cancelled; closes go on"


def _flatten(args: Row, strategy: Row) -> str:
    if _is_shadow(strategy):
        return f"{_SHADOW}; it pauses"
    legs = held(strategy)
    closed = " and ".join(f"{leg} {size}" for leg, size in legs.items()) or "no position"
    verb = "is" if len(legs) < 2 else "are"
    return f"it pauses; {_orders(strategy)} {_are(strategy)} cancelled, {closed} {verb} closed{_foreign(args)}"


def _foreign(args: Row) -> str:
    if not args.get("foreign"):
        return ""
    return "; so is all that others have there, of a whole account on every symbol"


def _kill(args: Row, strategy: Row) -> str:
    return f"{_flatten(args, strategy)}; it stays latched"


def _are(strategy: Row) -> str:
    return "is" if strategy.get("open_orders") == 1 else "are"


_EFFECTS: Final[Mapping[str, Callable[[Row, Row], str]]] = {
    "pause": _pause,
    "reduce": _reduce,
    "cancel": _cancel,
    "flatten": _flatten,
    "kill": _kill,
    "resume": _resume,
    "reconcile": _reconcile,
    "adopt": _adopt,
    "restart": lambda _, strategy: f"its process ends and begins anew; {_orders(strategy)} and its positions stay",
}
