"""The caps of fleet and groups, for the messages of the workers: lends shares, latches, and sees that it is done.

    message `caps` of a worker    figures into each of its scopes; shares are dealt; a cap may be crossed
    message `caps` to a worker    its shares and what holds it: at once when something changed, else each second

A worker that does not say within `ANSWER_S` that it is held is killed: nobody sends anything for its account then, a
rescue does what the cap wants, and its next process begins with what holds it. So it is where no process of the account
lives when a cap is crossed. What holds whom, peaks and shares are kept in `fleet_caps.json`: at once
when somebody is held or resumed, else every few seconds. A file that cannot be read holds all until they are resumed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from gridbot.config.fleet_models import FleetCaps
from gridbot.core.limits import OnBreach
from gridbot.core.strict_numbers import saved_decimal
from gridbot.incidents import Name, Standing
from gridbot.risk.fleet_share import CapHold
from gridbot.state.documents import LoneStopFile, Unreadable
from supervisor.caps.answer_times import Stage, is_overdue
from supervisor.caps.cap_scope import Adopted, Breached, CapScope, Figures, Parted, Reported, Resumed, step
from supervisor.caps.caps_document import document_of, read_document
from supervisor.caps.caps_shown import cap_rows, latches, standing
from supervisor.caps.fleet_scope import ScopeSeen, Told, UseRow
from supervisor.caps.host_caps import HostCaps
from supervisor.caps.notional_shares import Gone, Limit, Member, Said, Shares
from supervisor.caps.notional_shares import step as shares_step

__all__ = ["CapsKeeper"]

log = logging.getLogger("supervisor")

Message = dict[str, Any]
STALL_S: Final = 3.0
"""A look so late says that the machine stood still: a busy one is late as well, and what was said is read before."""
AGAIN_S: Final = 1.0
"""Between two words to a worker to which nothing new is to be said."""
RETRY_S: Final = 15.0
"""Until what could not be done without a worker is tried again: the exchange may be away, or a rescue in the way."""
FILE_S: Final = 2.0
ZERO: Final = Decimal(0)


class CapsKeeper:
    """One per supervisor. `scopes` are the caps and accounts of each scope.

    `send` passes a message to the worker of an account, `stage` tells how that is, `enforce` has done without it what a
    latch says, and ends it with a reason.
    """

    def __init__(
        self,
        scopes: Mapping[str, tuple[FleetCaps, Sequence[str]]],
        send: Callable[[str, Message], object],
        stage: Callable[[str], Stage],
        enforce: Callable[[str, OnBreach, str], object],
        *,
        clock: Callable[[], float],
        wall_ms: Callable[[], int],
    ) -> None:
        self._send, self._stage, self._enforce = send, stage, enforce
        self._clock, self._wall_ms = clock, wall_ms
        self._file: LoneStopFile | None = None
        self._kept_s = float("-inf")
        self._scopes = {name: CapScope(name, caps, tuple(accounts)) for name, (caps, accounts) in scopes.items()}
        self._shares = {name: Shares(scope.accounts) for name, scope in self._scopes.items() if _lends(scope)}
        accounts = dict.fromkeys(account for scope in self._scopes.values() for account in scope.accounts)
        self._of = {account: [n for n, s in self._scopes.items() if account in s.accounts] for account in accounts}
        self._resumes = dict.fromkeys(accounts, 0)
        """How many `resume`s the present process of an account has told of."""
        self._spoken_s = dict.fromkeys(accounts, float("-inf"))
        self._said = {account: frozenset[str]() for account in accounts}
        """The scopes that hold an account by the newest message of its present process."""
        self._heard_s = dict.fromkeys(accounts, float("-inf"))
        self._used: dict[str, Decimal] = {}
        self._asked_s: dict[str, float] = {}
        """Since when a worker that trades has been told that it is held, and has not said so."""
        self._looked_s = clock()
        self._over: HostCaps | None = None
        self._set_limits()

    def over_hosts(self, over: HostCaps) -> None:
        """The caps are those of a fleet over several hosts from now on. Before the first account has come."""
        self._over = over

    def open(self, file: LoneStopFile) -> None:
        """Go on from what an earlier supervisor left in `file`, and keep there what a later one has to know."""
        self._file = file
        try:
            found = file.load_as(lambda document: read_document(document, self._scopes, self._shares))
        except Unreadable as error:
            reason = f"{error}, so it is unknown whom caps hold"
            log.error("%s", reason)
            hold = CapHold(reason, self._wall_ms(), OnBreach.REDUCE)
            for scope in self._scopes.values():
                scope.held = dict.fromkeys(scope.accounts, hold)
            self._keep()
            return
        if found is not None:
            self._scopes |= found[0]
            self._shares |= found[1]
        self._set_limits()

    def join(self, scopes: Mapping[str, tuple[FleetCaps, Sequence[str]]]) -> None:
        """Accounts have come: `scopes` are all there are now."""
        for name, (caps, accounts) in scopes.items():
            scope = self._scopes.setdefault(name, CapScope(name, caps, ()))
            scope.caps = caps
            if _lends(scope):
                self._shares.setdefault(name, Shares((), grants=None if self._over is None else {}))
            for account in accounts:
                self._spoken_s.setdefault(account, float("-inf"))
                if name in self._shares:
                    self._shares[name].members.setdefault(account, Member())
                if account in scope.accounts:
                    continue
                scope.accounts += (account,)
                self._of.setdefault(account, []).append(name)
                self._resumes.setdefault(account, 0)
                self._said.setdefault(account, frozenset())
                self._heard_s.setdefault(account, float("-inf"))
        self._set_limits()
        self._take_fleet_holds()

    def leave(self, account: str) -> None:
        """An account is gone. Its position may be there still: it counts with its last figures until our next start."""
        self._spoken_s.pop(account, None)
        self._asked_s.pop(account, None)

    def part(self, account: str) -> None:
        """Another host has the account from now on, with its position: it counts there."""
        self.leave(account)
        for name in self._of.pop(account, ()):
            step(self._scopes[name], Parted(account))
            if name in self._shares:
                del self._shares[name].members[account]
        self._used.pop(account, None)
        if self._over is not None:
            self._over.forget(account)
        self._set_limits()

    # ------------------------------------------------------------------ what happens

    def take(self, account: str, message: Message) -> None:
        """A worker's message; raises KeyError, TypeError or ValueError for one that none of ours sends."""
        if account not in self._of:
            return
        self._heard_s[account] = self._clock()
        resumes = self._resumes[account]
        self._take_resumes(account, int(message["resumes"]))
        told: set[str] = set()
        if message["used"] is not None:  # else it has only begun, and does not know yet what there is
            self._used[account] = saved_decimal(message["used"])
            self._take_figures(account, message)
            told = self._take_use(account, message)
        self._take_held(account, message["held"])
        if self._resumes[account] != resumes:
            self._keep()
        for name in told:
            self._speak(name)

    def _take_use(self, account: str, message: Message) -> set[str]:
        told: set[str] = set()
        used, short = saved_decimal(message["used"]), saved_decimal(message["short"])
        for scope, (kept, number) in message["shares"].items():
            if scope in self._shares and account in self._shares[scope].members:
                wanted = min(short, max(ZERO, self._elsewhere(account, scope, short + used) - used))
                said = Said(account, used, wanted, saved_decimal(kept), int(number))
                told |= {each.name for each in shares_step(self._shares[scope], said)}
        return told

    def gone(self, account: str) -> None:
        """The process of an account has ended."""
        for scope in self._of.get(account, ()):
            if scope in self._shares:
                shares_step(self._shares[scope], Gone(account))
        if account in self._of:
            self._resumes[account] = 0
            self._said[account] = frozenset()

    def not_done(self, account: str) -> None:
        """What a latch wants could not be done without the worker: it is tried again, unless a worker does it first."""
        if account in self._spoken_s and not self._has_said(account):
            self._asked_s.setdefault(account, self._clock() + RETRY_S)

    def look(self) -> None:
        """Time has passed; a few times a second."""
        now_s = self._clock()
        for account, spoken_s in self._spoken_s.items():
            if now_s - spoken_s >= AGAIN_S:
                self._speak(account)
        if now_s - self._looked_s > STALL_S:
            self._asked_s = dict.fromkeys(self._asked_s, now_s)
        self._looked_s = now_s
        if self._over is not None:
            for name, scope in self._scopes.items():
                self._hold(name, self._over.alone(scope, now_s, self._wall_ms()))
        for account, asked_s in list(self._asked_s.items()):
            if account not in self._spoken_s:
                del self._asked_s[account]  # it has left
            elif is_overdue(self._stage(account), asked_s, self._heard_s[account], now_s):
                del self._asked_s[account]
                if actions := [hold.action for hold in self._holds(account).values()]:
                    strictest = max(actions, key=list(OnBreach).index)
                    self._enforce(account, strictest, "it does not answer while a cap holds its account")
        if self._scopes and now_s - self._kept_s >= FILE_S:
            self._keep()

    def word_for(self, account: str) -> Message | None:
        """What the worker of an account has to know now; None when no cap is over it."""
        if account not in self._of:
            return None
        shares = {
            name: [str(self._shares[name].members[account].share), self._shares[name].members[account].number]
            for name in self._of[account]
            if name in self._shares
        }
        held = {name: hold.to_document() for name, hold in self._holds(account).items()}
        return {"type": "caps", "shares": shares, "held": held, "resumes": self._resumes[account]}

    # ------------------------------------------------------------------ over hosts

    def told(self, epoch_of: Callable[[str], int | None]) -> list[Told]:
        """What the fleet's database is to hear of the accounts here whose lease is ours, in the order of its rows."""
        assert self._over is not None, "asked on a host of a fleet only"
        self._over.seq += 1
        found = []
        for name, scope in sorted(self._scopes.items()):
            for account in sorted(scope.accounts):
                said = scope.held.get(account) if name in self._said[account] else None
                used = self._used.get(account)
                if (epoch := epoch_of(account)) is not None and used is not None:
                    found.append(self._over.told(scope, self._shares.get(name), account, epoch, used, said))
        return [each for each in found if each is not None]

    def hear(self, told: Sequence[Told], rows: Sequence[UseRow], scopes: Sequence[ScopeSeen]) -> None:
        """The database has taken that, and has these rows of ours and these scopes now."""
        assert self._over is not None, "told on a host of a fleet only"
        self._over.hear(told, rows, scopes, self._clock())
        for name, shares in self._shares.items():
            for each in shares_step(shares, self._over.granted(name)):
                self._speak(each.name)
        self._take_fleet_holds()

    def _take_fleet_holds(self) -> None:
        if self._over is None:
            return
        for name, scope in self._scopes.items():
            found = {account: self._over.hold(name, account) for account in scope.accounts if account not in scope.held}
            news = {account: hold for account, hold in found.items() if hold is not None}
            for account, hold in news.items():
                step(scope, Adopted(account, hold))
            if news:
                self._carry_out(name, Breached(next(iter(news.values())).reason, tuple(news)))

    def _hold(self, name: str, breach: Breached | None) -> None:
        if breach is None:
            return
        scope = self._scopes[name]
        for account in breach.names:
            step(scope, Adopted(account, CapHold(breach.reason, self._wall_ms(), scope.caps.on_breach)))
        self._carry_out(name, breach)

    # ------------------------------------------------------------------ what is shown

    def standing(self) -> dict[Name, Standing]:
        """Warnings at 80 % of each cap, and latches."""
        return standing(self.rows(), latches(self._scopes.values()))

    def reasons(self) -> list[str]:
        """What keeps the fleet from being healthy."""
        return [text for text, _ in latches(self._scopes.values())]

    def rows(self) -> list[Message]:
        """Each cap of each scope, with what is used (USDT as text; `share` of the limit) and whom it holds."""
        return cap_rows(self._scopes, self._shares) if self._over is None else self._over.rows()

    # ------------------------------------------------------------------ inside

    def _holds(self, account: str) -> dict[str, CapHold]:
        return {
            name: self._scopes[name].held[account] for name in self._of[account] if account in self._scopes[name].held
        }

    def _elsewhere(self, account: str, scope: str, most: Decimal) -> Decimal:
        """What the other scopes of an account let it be worth, or may yet: more would be of no use to it here."""
        for name in self._of[account]:
            if name in self._shares and name != scope:
                shares = self._shares[name]
                most = min(most, shares.members[account].share + max(ZERO, shares.free))
        return most

    def _take_resumes(self, account: str, resumes: int) -> None:
        if resumes <= self._resumes[account]:
            return
        self._resumes[account] = resumes
        for scope in self._of[account]:
            if self._over is not None and account in self._scopes[scope].held:
                self._over.lift(scope, account, self._scopes[scope].held[account])
            step(self._scopes[scope], Resumed(account))
        log.info("%s was resumed: no cap of fleet or groups holds it", account)
        self._asked_s.pop(account, None)

    def _take_figures(self, account: str, message: Message) -> None:
        """When a cap was crossed, everybody concerned is told."""
        if message["equity"] is None or message["wallet"] is None:
            return
        low, high = map(saved_decimal, message["equity"])
        wallet, result = saved_decimal(message["wallet"]), saved_decimal(message["result"])
        figures = Figures(low, high, wallet, result, str(message["counted_from"]))
        for name in self._of[account]:
            if self._over is not None:
                self._scopes[name].figures[account] = figures  # they are counted where all accounts are
            else:
                self._carry_out(name, step(self._scopes[name], Reported({account: figures}, self._wall_ms())))
        self._set_limits()

    def _carry_out(self, name: str, breach: Breached | None) -> None:
        """A cap was crossed: these accounts are held from now on."""
        if breach is None:
            return
        log.error("%s: %s; held: %s", name, breach.reason, ", ".join(breach.names))
        for each in breach.names:
            self._speak(each)
            if not self._has_said(each):
                self._asked_s.setdefault(each, self._clock())
        self._keep()

    def _set_limits(self) -> None:
        """Limits that are a multiple of the wallets follow them."""
        if self._over is not None:
            return  # they come with what is granted
        for name, shares in self._shares.items():
            scope = self._scopes[name]
            if scope.caps.max_notional is not None:
                for each in shares_step(shares, Limit(scope.caps.max_notional.resolve(scope.wallets))):
                    self._speak(each.name)

    def _take_held(self, account: str, held: Mapping[str, Any]) -> None:
        for name in self._of[account]:
            if name in held and account not in self._scopes[name].held:
                step(self._scopes[name], Adopted(account, CapHold.from_document(held[name])))
                self._keep()
        self._said[account] = frozenset(held)
        if self._has_said(account):
            self._asked_s.pop(account, None)

    def _speak(self, account: str) -> None:
        if account not in self._spoken_s:
            return  # it has left
        now_s = self._clock()
        self._spoken_s[account] = now_s
        self._send(account, self.word_for(account) or {})
        if not self._has_said(account) and self._stage(account) is Stage.TRADES:
            self._asked_s.setdefault(account, now_s)

    def _has_said(self, account: str) -> bool:
        """Whether the present process of an account knows all that holds it."""
        return self._said[account].issuperset(self._holds(account))

    # ------------------------------------------------------------------ the file

    def _keep(self) -> None:
        self._kept_s = self._clock()
        if self._file is not None and self._over is None:
            self._file.save(document_of(self._scopes, self._shares))


def _lends(scope: CapScope) -> bool:
    return scope.caps.max_notional is not None
