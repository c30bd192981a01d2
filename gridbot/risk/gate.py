"""The only way to the exchange: every order (of a strategy, a retry, an operator) has to be admitted here first.

A shell: it holds the state of the gate, has each event applied by `gate_state.step`, and carries the warnings out. The
decision is `gate_checks.admit`, a pure question. The gate sends nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from gridbot.core import Direction, WalletEvent
from gridbot.core.limits import Limit
from gridbot.exchange.failures import ExchangeError
from gridbot.orders.breakers import Breaker, Cause, FailureRun
from gridbot.orders.order import TrackedOrder
from gridbot.orders.proposal import Proposal
from gridbot.risk.brake import Brake
from gridbot.risk.caps import CapWarned
from gridbot.risk.gate_checks import AccountView, admit
from gridbot.risk.gate_state import (
    Accepted,
    AuthFailed,
    Braked,
    Enrolled,
    Event,
    GateState,
    Lent,
    LevelKey,
    Refused,
    StreamAlive,
    TermsRepaired,
    WalletSeen,
    step,
)
from gridbot.risk.holds import Hold, Kill, Latch, Resume, Stop, Unlatch, Who
from gridbot.risk.refusals import Producer, Refusal
from gridbot.risk.strategy_state import StrategyRiskState

__all__ = ["AUTH_COOLDOWN_S", "Gate", "level_key"]

AUTH_COOLDOWN_S = 1800.0
_SHORT = Refusal.FLEET_MAX_NOTIONAL


class Gate:
    """One per account. `warn(key, text)` is called once when a cap is 80 % used, and again after it was below.

    `wall_ms` (ms UTC) says when a hold began; all other times are arguments, in monotonic seconds.
    """

    def __init__(
        self,
        wall_ms: Callable[[], int],
        *,
        account_max_notional: Limit | None = None,
        auth_cooldown_s: float = AUTH_COOLDOWN_S,
        warn: Callable[[str, str], None] = lambda key, text: None,
    ) -> None:
        self.state = GateState(auth=FailureRun(cooldown_s=auth_cooldown_s))
        self.strategies: dict[str, StrategyRiskState] = {}
        self._account = AccountView(account_max_notional, self.strategies)
        self._wall_ms = wall_ms
        self._warn = warn
        self._shadows: list[Gate] = []
        self._short: dict[tuple[str, Direction, int], Decimal] = {}
        """By level, the notional that was refused for want of a share of the fleet's caps (`take_short`)."""

    def shadow(self) -> Gate:
        """A gate for a shadow strategy: the same caps and the same word about the stream, with funds of its own.

        So a shadow strategy is refused what it would be refused if it were live and alone on the account.
        """
        gate = Gate(self._wall_ms, account_max_notional=self._account.max_notional, warn=self._warn)
        self._shadows.append(gate)
        return gate

    def enroll(self, state: StrategyRiskState) -> None:
        """Count a strategy's positions and orders towards the account's caps. Before its first order."""
        self.strategies[state.strat_id] = state
        self._step(Enrolled(state.strat_id, state.caps.max_orders_per_minute))

    def limit(self, account_max_notional: Limit | None) -> None:
        """Another cap of the account counts from now on, for shadow strategies too."""
        self._account = AccountView(account_max_notional, self.strategies)
        for shadow in self._shadows:
            shadow.limit(account_max_notional)

    def withdraw(self, strat_id: str) -> None:
        """A strategy is gone: it counts no more towards the account's caps, and what was refused of it is forgotten."""
        self.strategies.pop(strat_id, None)
        self.repaired(strat_id)

    def admit(
        self, state: StrategyRiskState, proposal: Proposal, now_s: float, producer: Producer = Producer.STRATEGY
    ) -> Refusal | None:
        """Let an order through (then it counts against caps and funds) or say why not.

        A CLOSE passes whatever holds the strategies, but may not close more than there is. ValueError when it would
        open something.
        """
        verdict = admit(self.state, self._account, state, proposal, now_s, producer)
        refusal = verdict.refusal
        if refusal is None or verdict.changes:
            self._step(verdict, now_s)
        elif refusal is _SHORT:
            self._short[state.strat_id, proposal.direction, proposal.ticks] = proposal.notional
        return refusal

    def worth(self) -> Decimal:
        """USDT that the legs and resting opens of all strategies are worth, as the account's cap counts them."""
        return sum((state.notional() for state in self.strategies.values()), Decimal(0))

    # ------------------------------------------------------------------ what is known

    @property
    def account(self) -> AccountView:
        """What else it looks at: the account's cap, and all its strategies."""
        return self._account

    @property
    def auth(self) -> FailureRun:
        """The row of key failures, or its cooldown."""
        return self.state.auth

    @property
    def breaker(self) -> Breaker[LevelKey]:
        """The circuits of levels."""
        return self.state.breaker

    @property
    def stopping(self) -> bool:
        """Whether the worker is stopping."""
        return Hold.STOPPING in self.state.holds.held

    @property
    def brake(self) -> Brake:
        """What caps let through."""
        return self.state.brake

    def take_short(self) -> Decimal:
        """USDT of opening orders that were refused for want of a share of the fleet's caps since the last call."""
        wanted, self._short = sum(self._short.values(), Decimal(0)), {}
        return wanted

    @property
    def loss_latched(self) -> str:
        """Why nothing is opened any more (the session loss limit); empty when it is not passed."""
        return self.state.holds.reason(Hold.SESSION_LOSS)

    @property
    def latched(self) -> str:
        """Why the account is latched by `kill` or a cap; empty when it is not."""
        return self.state.holds.reason(Hold.LATCHED)

    def account_latch(self) -> str:
        """Why the whole account is held until an operator resumes it: `kill`, its loss limit, a cap; else empty."""
        brake = self.state.brake
        return self.latched or self.loss_latched or ("" if brake.passes else brake.reason)

    # ------------------------------------------------------------------ what has happened

    def stop(self) -> None:
        """The worker is stopping: from now on only an operator's close passes."""
        self._step(Stop(), now_ms=self._wall_ms())

    def latch_loss(self, reason: str, since_ms: int | None = None) -> None:
        """The account has lost too much (`reason` says how much); an empty reason lets it trade again.

        `since_ms` (UTC): an earlier process latched it then; without it, now.
        """
        self._step(Latch(reason) if reason else Resume(), now_ms=since_ms or self._wall_ms())

    def braked(self, brake: Brake) -> None:
        """What caps let through from now on."""
        self._step(Braked(brake))

    def lent(self, share: Decimal | None) -> None:
        """What all strategies together may be worth from now on (USDT), of the caps of fleet and groups; None: all."""
        self._step(Lent(share))

    def kill(self, reason: str, who: Who, since_ms: int | None = None) -> None:
        """Nothing of any strategy passes until `unlatch`; `since_ms` (UTC) where an earlier process latched it."""
        self._step(Kill(reason, who), now_ms=since_ms or self._wall_ms())

    def unlatch(self) -> None:
        """An operator ends the latch of `kill`."""
        self._step(Unlatch())

    def wallet_seen(self, wallet: WalletEvent, now_s: float, *, was_asked: bool = False) -> bool:
        """Take a newer wallet, from whichever source; False for one that is older than what we have."""
        before = self.state.funds
        self._step(WalletSeen(wallet, was_asked), now_s)
        return self.state.funds is not before

    def stream_alive(self, now_s: float) -> None:
        """The private stream is alive: a wallet that was not pushed has not changed."""
        self._step(StreamAlive(), now_s)
        for shadow in self._shadows:
            shadow.stream_alive(now_s)

    def refused(
        self, order: TrackedOrder, now_s: float, ticks: int | None = None, cause: Cause = Cause.REFUSED
    ) -> bool:
        """The exchange refused an order, or took it back; True when this opens the breaker of its level.

        `ticks` is the level it was wanted for, where it may have another price now.
        """
        return self._step(Refused(level_key(order, ticks), cause), now_s)

    def repaired(self, strategy: str, uncovered: frozenset[Direction] = frozenset()) -> None:
        """What the exchange refused the strategy's orders for was set right: its levels need not wait.

        With `uncovered` only those that close these legs.
        """
        self._step(TermsRepaired(strategy, uncovered))

    def auth_failed(self, error: ExchangeError, now_s: float) -> bool:
        """The exchange did not accept our key; True when this failure starts a cooldown."""
        return self._step(AuthFailed(error), now_s)

    def auth_succeeded(self) -> None:
        """The exchange accepted a request: our key is good."""
        if not self.state.auth.is_clear:
            self._step(Accepted())

    def _step(self, event: Event, now_s: float = 0.0, now_ms: int = 0) -> bool:
        """Apply an event and give its warnings; whether it had effects."""
        self.state, effects = step(self.state, event, now_s, now_ms)
        if not effects:
            return False  # the usual case
        for effect in effects:
            if isinstance(effect, CapWarned):
                self._warn(effect.key, effect.text)
        return True


def level_key(order: TrackedOrder, ticks: int | None = None) -> LevelKey:
    """The key under which the breaker counts the exchange's refusals: of this level, else of the order's."""
    return (order.strat_id, order.direction, order.side, order.ticks if ticks is None else ticks)
