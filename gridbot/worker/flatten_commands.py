"""The commands that cancel, close and latch: what each holds, and what it has `Flattening` do.

    command   holds                                                 then
    reduce    reducing                                              what rests to open is withdrawn
    cancel    paused; with `leave_running` until it is over alone   all orders go, confirmed by the exchange
    flatten   paused                                                the same, and all legs are closed
    kill      paused and latched; of a whole account the account    the same

A command without a strategy is about the account: also about its strategies that could not start.
"""

from __future__ import annotations

from asyncio import Future
from collections.abc import Sequence
from decimal import Decimal

from gridbot.commands.arguments import CancelArguments, FlattenArguments, PauseArguments, ReduceArguments
from gridbot.flatten.flatten_words import Finished, Others, Terms, Wanted
from gridbot.risk.holds import Who
from gridbot.worker.flattening import Flattening
from gridbot.worker.refused_strategies import RefusedStrategies
from gridbot.worker.startup import RefusedStrategy
from gridbot.worker.strategy_runner import StrategyRunner

__all__ = ["OPERATOR", "FlattenCommands", "NotNow", "Told", "held_by", "others_of", "terms_of"]

Told = Future[tuple[bool, str]]
"""What a command that takes long ends with: whether all is done, and the report."""
OPERATOR = "the operator"
PERCENT = Decimal(100)
Addressed = tuple[Sequence[StrategyRunner], Sequence[RefusedStrategy]]


class NotNow(ValueError):
    """A command that was understood, and cannot be carried out as things are."""


class FlattenCommands:
    """The strategies that are addressed come from `Commands`, which knows them."""

    def __init__(self, flattening: Flattening, refused: RefusedStrategies) -> None:
        self._flattening = flattening
        self._refused = refused

    def reduce(self, addressed: Addressed, args: ReduceArguments, who: str = OPERATOR) -> str:
        """Also what could not start: it begins reducing when its symbol may be traded."""
        runners, refused = addressed
        reason = held_by("only reducing", who, args.reason)
        for runner in runners:
            runner.reduce(Who.OPERATOR, reason)
        for each in refused:
            self._refused.reduce(each.strat_id, Who.OPERATOR, reason)
        return f"{len(runners) + len(refused)} only reducing"

    def cancel(self, addressed: Addressed, args: CancelArguments, who: str = OPERATOR) -> Told:
        """Withdraw, and pause unless it is to run on."""
        if args.leave_running:
            self._stand_still(addressed)
        else:
            self._pause(addressed, held_by("all orders cancelled", who, args.reason))
        wanted = Wanted(_symbols(addressed, closes=False), Terms(foreign=args.foreign), others_of(args, closes=False))
        return self._flattening.begin(wanted, held_by("cancel", who, args.reason))

    def flatten(self, addressed: Addressed, args: FlattenArguments, who: str = OPERATOR) -> Told:
        """Pause, withdraw, close."""
        wanted = Wanted(_symbols(addressed, closes=True), terms_of(args), others_of(args, closes=True))
        self._pause(addressed, held_by("flattened", who, args.reason))
        return self._flattening.begin(wanted, held_by("flatten", who, args.reason))

    def kill(self, addressed: Addressed, args: FlattenArguments, who: str = OPERATOR) -> Told:
        """Flatten and latch: the account, or one strategy of it."""
        runners, refused = addressed
        wanted = Wanted(_symbols(addressed, closes=True), terms_of(args), others_of(args, closes=True))
        reason = held_by("killed", who, args.reason)
        if args.strategy:
            for runner in runners:
                runner.risk_state.kill(Who.OPERATOR, reason)
            for each in refused:
                self._refused.kill(each.strat_id, Who.OPERATOR, reason)
        else:
            self._flattening.latch(reason, Who.OPERATOR)
        self._pause(addressed, reason)
        return self._flattening.begin(wanted, held_by("kill", who, args.reason))

    def refuse_while_busy(self, addressed: Addressed) -> None:
        """NotNow while one of the strategies is being cancelled or closed: nothing may be placed meanwhile."""
        busy = sorted(self._flattening.busy.keys() & _symbols(addressed, closes=False).keys())
        if busy:
            raise NotNow(
                f"expected nothing under way for {', '.join(busy)}, got a resume while orders are cancelled and legs "
                "closed there; resume when that is over"
            )

    def _stand_still(self, addressed: Addressed) -> None:
        """Nothing is placed until the cancelling is over: a list would show it, and it would be cancelled again."""
        ready = [runner for runner in addressed[0] if runner.risk_state.ready and not runner.is_shadow]
        for runner in ready:
            runner.stop()

        def go_on(_: Finished) -> None:
            for runner in ready:
                runner.ready()

        self._flattening.on_end(go_on)

    def _pause(self, addressed: Addressed, reason: str) -> None:
        runners, refused = addressed
        for runner in runners:
            runner.pause(reason=reason)
        for each in refused:
            self._refused.pause(each.strat_id, Who.OPERATOR, reason)


def terms_of(args: FlattenArguments) -> Terms:
    """How it is to be done, from the arguments of the command."""
    usual = Terms()
    band = usual.band if args.band is None else Decimal(args.band) / PERCENT
    if not 0 < band < 1:
        raise ValueError(f"expected a band above 0 and below 100 percent, got {args.band}")
    after_s = usual.market_after_s if args.market_after is None else float(args.market_after)
    return Terms(band=band, market_after_s=after_s, foreign=args.foreign)


def others_of(args: CancelArguments | FlattenArguments | PauseArguments, *, closes: bool) -> Others:
    """What becomes of symbols that no strategy trades: nothing, unless the whole account is meant."""
    if args.strategy:
        return Others.UNSEEN
    if not getattr(args, "foreign", False):
        return Others.TOLD
    return Others.CLOSED if closes else Others.CANCELLED


def _symbols(addressed: Addressed, *, closes: bool) -> dict[str, bool]:
    """Of those with orders on the exchange."""
    runners, refused = addressed
    live = [runner.symbol for runner in runners if not runner.is_shadow]
    return dict.fromkeys([*live, *(each.symbol for each in refused if not each.shadow)], closes)


def held_by(what: str, who: str, why: str | None) -> str:
    """The reason of a hold: what was done, by whom and why."""
    return f"{what} by {who}: {why}" if why else f"{what} by {who}"
