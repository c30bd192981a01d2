"""Which accounts this host may trade: the lease machine. Pure: events and CLOCK_BOOTTIME in, requests and news out.

    WATCHING --Acquire--> ASKING --granted--> HELD --not wanted--> LEAVING --worker ended--> RELEASING --> gone
      ^  |                   |                 | ^
      +------- refused ------+                 | +-- renewed -- FOUND <-- the row says that it is ours -- WATCHING
         |                                     |
         +<-- worker ended -- ENDING <---------+ somebody else has it

Why no two holders' requests are ever both taken by the exchange (times of `LeaseTimes`):

* The holder stops at (when it SENT the renewal) + TTL - margin, on a clock that counts sleep and ignores steps. The
  database counted its TTL from a later moment, so the holder's end is at least `margin_s` before `until`.
* A request carries the exchange's time, taken BEFORE the worker checked its lease, wrong by 0.5 s at most. The exchange
  takes it for `recv_window_s`. So nothing is taken later than `until` - 1 + 2 + 0.5 s, wherever it was held up: in a
  frozen process, in a buffer, in the network.
* A successor is granted the lease after `until` + recv_window + spare = `until` + 3 s by the database's clock. Between
  the two lies 1.5 s, of which `CLOCK_TOLERANCE_US` may be the fault of the database's clock.
* The database's clock may be set, or another machine's clock may take over with a standby. So a host takes a lease that
  ran out only when it has seen that clock run evenly with its own for TTL + wait, up to the very request (`latest_us`).
  A lease that was given up with all requests answered (`free`) needs no clock.

An answer that was lost does no harm: an epoch belongs to one run of one host. When the database turns out to have
granted us what we did not hear of, we renew it and hold it, or give it back.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from supervisor.fleet.lease_types import (
    SECOND_NS,
    Acquire,
    Answer,
    Asked,
    Away,
    Barred,
    Effect,
    Event,
    Extended,
    Gained,
    HostId,
    Lapsed,
    LeaseRow,
    LeaseState,
    LeaseTimes,
    Leave,
    Look,
    Looked,
    Lost,
    Phase,
    Quiet,
    Release,
    Released,
    Renew,
    Renewed,
    Tick,
    Want,
)

__all__ = ["CLOCK_TOLERANCE_US", "LOOK_NS", "RETRY_NS", "Account", "DatabaseClock", "Leases", "step"]

CLOCK_TOLERANCE_US = 1_000_000
"""So far the database's clock may move against ours within `trust_ns`, network included."""
SLOW_US = 400_000
"""An answer that took longer says too little about the database's clock."""
LOOK_NS = SECOND_NS
"""How often rows are read while an account is wanted that is not ours."""
RETRY_NS = SECOND_NS // 2
"""How long after a failure a request is sent again."""


_OURS = frozenset({Phase.HELD, Phase.LEAVING, Phase.FOUND})


@dataclass(slots=True)
class DatabaseClock:
    """Whether the database's clock runs evenly with ours: differences (database - boot), lowest and highest, in us."""

    trust_ns: int
    seen: list[tuple[int, int, int]] = field(default_factory=list)

    def add(self, asked: Asked, now: int) -> None:
        """An answer came at `now`: the database read its clock at some time between sending and now."""
        low, high = asked.database_us - now // 1000, asked.database_us - asked.sent_ns // 1000
        if high - low > SLOW_US:
            return
        lows, highs = [low, *(each[1] for each in self.seen)], [high, *(each[2] for each in self.seen)]
        if max(highs) - min(lows) > CLOCK_TOLERANCE_US:
            self.seen.clear()
        self.seen.append((now, low, high))
        while len(self.seen) > 1 and self.seen[1][0] <= now - self.trust_ns:
            del self.seen[0]

    def trusted(self, now: int) -> bool:
        """Whether an end that the database names can be believed."""
        return bool(self.seen) and self.seen[0][0] <= now - self.trust_ns

    def latest_us(self, now: int) -> int:
        """The latest that the database's clock can show now, when nobody has set it."""
        return now // 1000 + min(each[1] for each in self.seen) + CLOCK_TOLERANCE_US if self.seen else 0

    def when_ns(self, database_us: int) -> int:
        """When, by our clock, the database's surely shows this time."""
        return (database_us - min(each[1] for each in self.seen)) * 1000 if self.seen else 0


@dataclass(slots=True)
class Account:
    """One account, as this host knows it. `row` is what was last read of it while it was not ours."""

    phase: Phase = Phase.WATCHING
    epoch: int = 0
    until_ns: int = 0
    lapsed: bool = False
    row: LeaseRow | None = None
    known: bool = False
    """Whether the row was read since it became of interest."""
    again_ns: int = 0
    """Not asked for, or given up, before this time."""
    free: bool = False
    """It is given up with every request answered."""
    giving: bool = False
    """A `Release` is under way."""


@dataclass(slots=True)
class Leases:
    """All accounts of this host. Owned by the keeper, changed by `step` alone."""

    me: HostId
    times: LeaseTimes = field(default_factory=LeaseTimes)
    accounts: dict[str, Account] = field(default_factory=dict)
    wanted: frozenset[str] = frozenset()
    barred: set[str] = field(default_factory=set)
    """Accounts of which a later holder's orders were seen at the exchange."""
    clock: DatabaseClock = field(init=False)
    renewing: bool = False
    looking: bool = False
    renew_ns: int = 0
    look_ns: int = 0

    def __post_init__(self) -> None:
        self.clock = DatabaseClock(self.times.trust_ns)

    def held(self) -> dict[str, int]:
        """Account -> epoch of all that is ours and renewed."""
        return {name: each.epoch for name, each in self.accounts.items() if each.phase in _OURS}


def step(leases: Leases, event: Event, now: int) -> list[Effect]:
    """Apply `event`, then the time `now` (CLOCK_BOOTTIME, ns). Call it with `Tick` several times a second.

    Every request among the effects is answered with its own event or with `Away`, once.
    """
    out: list[Effect] = []
    match event:
        case Want(accounts):
            _want(leases, accounts, out)
        case Quiet(account, answered):
            _quiet(leases, account, answered)
        case Barred(account):
            _bar(leases, account, out)
        case Looked():
            _looked(leases, event, now)
        case Renewed():
            _renewed(leases, event, now, out)
        case Answer():
            _answer(leases, event, now, out)
        case Released(account, epoch):
            _released(leases, account, epoch)
        case Away(request):
            _away(leases, request, now)
        case Tick():
            pass
    _time(leases, now, out)
    return out


def _want(leases: Leases, accounts: frozenset[str], out: list[Effect]) -> None:
    leases.barred &= accounts
    leases.wanted = accounts = accounts - leases.barred
    for name in sorted(accounts - leases.accounts.keys()):
        leases.accounts[name] = Account()
    for name, each in list(leases.accounts.items()):
        if name in accounts:
            continue
        if each.phase is Phase.WATCHING:
            del leases.accounts[name]
        elif each.phase is Phase.FOUND:
            each.phase, each.free, each.again_ns = Phase.RELEASING, True, 0
        elif each.phase is Phase.HELD:
            each.phase = Phase.LEAVING
            out.append(Leave(name, each.epoch))


def _bar(leases: Leases, name: str, out: list[Effect]) -> None:
    """It is not asked for again until it was not wanted here for once."""
    leases.barred.add(name)
    each = leases.accounts.get(name)
    if each is not None and each.phase in (Phase.HELD, Phase.LEAVING):
        each.phase, each.until_ns = Phase.ENDING, 0
        out.append(Lost(name, each.epoch))


def _quiet(leases: Leases, name: str, answered: bool) -> None:
    each = leases.accounts.get(name)
    if each is None:
        return
    if each.phase is Phase.ENDING:
        _not_ours(leases, name, each)
    elif each.phase is Phase.LEAVING:
        each.phase, each.free, each.again_ns = Phase.RELEASING, answered, 0


def _not_ours(leases: Leases, name: str, each: Account) -> None:
    if name in leases.wanted and name not in leases.barred:
        leases.accounts[name] = Account(again_ns=each.again_ns)
    else:
        del leases.accounts[name]


def _looked(leases: Leases, event: Looked, now: int) -> None:
    leases.looking = False
    leases.look_ns = now + LOOK_NS
    leases.clock.add(event.asked, now)
    rows = {row.account: row for row in event.rows}
    for name in event.accounts:
        each = leases.accounts.get(name)
        if each is not None and each.phase is Phase.WATCHING:
            row = rows.get(name)
            each.row, each.known = row, True
            if row is not None and row.state is LeaseState.HELD and row.holder == leases.me:
                # Granted, and the answer was lost. Nobody else can use this epoch; a renewal will say until when.
                each.phase, each.epoch, leases.renew_ns = Phase.FOUND, row.epoch, now


def _renewed(leases: Leases, event: Renewed, now: int, out: list[Effect]) -> None:
    leases.renewing = False
    leases.clock.add(event.asked, now)
    until = event.asked.sent_ns + leases.times.term_ns
    for name, epoch in event.held.items():
        each = leases.accounts.get(name)
        if each is None or each.epoch != epoch or each.phase not in _OURS:
            continue
        ours = name in event.renewed
        if each.phase is Phase.FOUND:
            if ours and each.row is not None:
                _hold(leases, each, each.row, event.asked.sent_ns, out)
            else:
                _not_ours(leases, name, each)
        elif not ours:
            each.phase, each.until_ns = Phase.ENDING, 0
            out.append(Lost(name, epoch))
        elif until > each.until_ns:
            each.until_ns = until
            each.lapsed = each.lapsed and now >= until
            out.append(Extended(name, epoch, event.asked.sent_ns, until))


def _answer(leases: Leases, event: Answer, now: int, out: list[Effect]) -> None:
    leases.clock.add(event.asked, now)
    each = leases.accounts.get(event.account)
    if each is None or each.phase is not Phase.ASKING:
        return
    if event.row is None:
        each.again_ns = now + RETRY_NS
        _not_ours(leases, event.account, each)
        return
    _hold(leases, each, event.row, event.asked.sent_ns, out)


def _hold(leases: Leases, each: Account, row: LeaseRow, sent_ns: int, out: list[Effect]) -> None:
    """The lease is ours. One that nobody wants any more was never used, and is given back."""
    each.epoch, each.until_ns = row.epoch, sent_ns + leases.times.term_ns
    each.lapsed, each.row, each.known = False, None, False
    if row.account not in leases.wanted:
        each.phase, each.free, each.again_ns = Phase.RELEASING, True, 0
        return
    each.phase = Phase.HELD
    out.append(Gained(row.account, row.epoch, sent_ns, each.until_ns, row.previous))


def _released(leases: Leases, name: str, epoch: int) -> None:
    each = leases.accounts.get(name)
    if each is not None and each.phase is Phase.RELEASING and each.epoch == epoch:
        _not_ours(leases, name, each)


def _away(leases: Leases, request: Effect, now: int) -> None:
    match request:
        case Renew():
            leases.renewing, leases.renew_ns = False, now + RETRY_NS
        case Look():
            leases.looking, leases.look_ns = False, now + RETRY_NS
        case Acquire(name) | Release(name):
            each = leases.accounts.get(name)
            if each is None:
                return
            each.giving, each.again_ns = False, now + RETRY_NS
            if each.phase is Phase.ASKING:
                _not_ours(leases, name, each)
        case _:
            raise AssertionError(f"expected a request, got {request}")


# ------------------------------------------------------------------ what is due


def _time(leases: Leases, now: int, out: list[Effect]) -> None:
    for name in sorted(leases.accounts):
        each = leases.accounts[name]
        if each.phase in (Phase.HELD, Phase.LEAVING) and now >= each.until_ns and not each.lapsed:
            each.lapsed = True
            out.append(Lapsed(name, each.epoch))
        elif each.phase is Phase.RELEASING and not each.giving and now >= each.again_ns:
            each.giving = True
            out.append(Release(name, each.epoch, each.free))
    held = leases.held()
    if held and not leases.renewing and now >= leases.renew_ns:
        leases.renewing, leases.renew_ns = True, now + leases.times.renew_ns
        out.append(Renew(held))
    for name in sorted(_watched(leases)):
        _acquire(leases, name, now, out)
    watched = _watched(leases)
    if not leases.looking and now >= leases.look_ns and (watched or not held):
        leases.looking, leases.look_ns = True, now + LOOK_NS
        out.append(Look(watched))


def _watched(leases: Leases) -> frozenset[str]:
    return frozenset(name for name, each in leases.accounts.items() if each.phase is Phase.WATCHING)


def _acquire(leases: Leases, name: str, now: int, out: list[Effect]) -> None:
    """Ask for an account when it can be had: then at once, not at the next look."""
    each = leases.accounts[name]
    if not each.known or now < each.again_ns:
        return
    row = each.row
    if row is not None and row.state is not LeaseState.FREE:
        ends_us = row.until_us + leases.times.wait_us
        if not leases.clock.trusted(now) or now < leases.clock.when_ns(ends_us):
            return
    each.phase = Phase.ASKING
    # Nobody here has seen the lease of another account with this key: by a clock that was just set it may seem over.
    latest_us = leases.clock.latest_us(now) if leases.clock.trusted(now) else 0
    out.append(Acquire(name, row.epoch if row else 0, latest_us))
