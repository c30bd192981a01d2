"""Hosts, their workers, the database and the exchange, all with clocks of their own, for tests of the lease machine.

Requests to the database, its answers and the workers' requests to the exchange each wait until the test delivers,
delays or loses them. The exchange takes what is younger than recv_window, as Bybit does. It must never take a request
of an epoch when the database has granted a later one, nor one of an account whose key another one was granted with.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from supervisor.fleet.lease import Leases, step
from supervisor.fleet.lease_types import (
    Acquire,
    Answer,
    Asked,
    Away,
    Effect,
    Event,
    Extended,
    Gained,
    HostId,
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
from supervisor.fleet.memory_store import Tables

S = 1_000_000_000
REQUESTS = (Acquire, Look, Release, Renew)


@dataclass
class Worker:
    """What trades: it has its epoch and its end, and outlives a supervisor that is killed."""

    account: str
    epoch: int
    until_ns: int
    alive: bool = True


@dataclass
class Sending:
    """A request to the exchange: stamped, then checked, then under way."""

    host: Host
    worker: Worker
    stamp_ns: int
    checked: bool = False


@dataclass
class InFlight:
    """A request to the database, or its answer on the way back."""

    host: Host
    leases: Leases
    request: Effect
    sent_ns: int
    answer: Event | None = None


@dataclass
class Host:
    name: str
    rate: float = 1.0
    offset_ns: int = 0
    frozen: bool = False
    runs: int = 0
    leases: Leases = field(init=False)
    workers: list[Worker] = field(default_factory=list)
    news: list[Effect] = field(default_factory=list)


@dataclass
class World:
    hosts: list[Host]
    times: LeaseTimes = field(default_factory=LeaseTimes)
    now_ns: int = 0
    database_us: int = 1_800_000_000_000_000
    flying: list[InFlight] = field(default_factory=list)
    sending: list[Sending] = field(default_factory=list)
    taken: list[tuple[str, int]] = field(default_factory=list)
    keys: dict[str, str] = field(default_factory=dict)
    """By account its API key, where that matters."""

    def __post_init__(self) -> None:
        self.tables = Tables(lambda: self.database_us + self.now_ns // 1000)
        for host in self.hosts:
            self.start(host)

    def boot(self, host: Host) -> int:
        return host.offset_ns + round(self.now_ns * host.rate)

    def start(self, host: Host) -> None:
        """The supervisor begins, after a kill -9 if it ran: its workers are still there, and end with their term."""
        host.runs += 1
        host.leases = Leases(HostId(host.name, f"run{host.runs}"), self.times)

    def want(self, host: Host, *accounts: str) -> None:
        self.tell(host, Want(frozenset(accounts)))

    def tell(self, host: Host, event: Event) -> None:
        for effect in step(host.leases, event, self.boot(host)):
            if isinstance(effect, REQUESTS):
                self.flying.append(InFlight(host, host.leases, effect, self.boot(host)))
                continue
            host.news.append(effect)
            if isinstance(effect, Gained):
                host.workers.append(Worker(effect.account, effect.epoch, effect.until_ns))
            elif isinstance(effect, Extended):
                for worker in self.workers(host, effect.account):
                    if worker.epoch == effect.epoch:
                        worker.until_ns = max(worker.until_ns, effect.until_ns)

    def workers(self, host: Host, account: str) -> list[Worker]:
        return [each for each in host.workers if each.account == account and each.alive]

    def worker_ends(self, host: Host, account: str, *, answered: bool) -> None:
        """Only when it is asked to, as the supervisor does. Without `answered` its requests may still be under way."""
        if answered and any(each.host is host and each.worker.account == account for each in self.sending):
            answered = False
        for worker in self.workers(host, account):
            worker.alive = False
        self.sending = [each for each in self.sending if each.worker.alive or each.checked]
        self.tell(host, Quiet(account, answered))

    # ------------------------------------------------------------------ the database

    def carry_out(self, item: InFlight) -> None:
        me, tables, asked = item.leases.me, self.tables, self._asked
        match item.request:
            case Look(accounts):
                at, rows = tables.look(accounts)
                item.answer = Looked(asked(item, at), accounts, tuple(rows))
            case Renew(held):
                at, renewed = tables.renew(me, self.times, held)
                item.answer = Renewed(asked(item, at), held, renewed)
            case Acquire(account):
                at, row = tables.acquire(me, self.times, item.request, self.keys.get(account, ""))
                item.answer = Answer(asked(item, at), account, row)
            case Release(account, epoch, free):
                tables.release(me, account, epoch, free=free)
                item.answer = Released(account, epoch)

    def _asked(self, item: InFlight, at: int) -> Asked:
        return Asked(item.sent_ns, at)

    def deliver(self, item: InFlight) -> None:
        """One way of two: to the database, or the answer to the host. A frozen host hears nothing."""
        if item.answer is None:
            self.carry_out(item)
        elif not item.host.frozen:
            self.flying.remove(item)
            if item.host.leases is item.leases:
                self.tell(item.host, item.answer)

    def give_up(self, item: InFlight) -> None:
        """The host hears that it failed. The request may be carried out all the same, later (`late` is kept)."""
        if item.host.frozen:
            return
        self.flying.remove(item)
        if item.host.leases is item.leases:
            self.tell(item.host, Away(item.request))

    # ------------------------------------------------------------------ the exchange

    def stamp(self, host: Host, worker: Worker, wrong_ns: int) -> None:
        self.sending.append(Sending(host, worker, self.now_ns + wrong_ns))

    def check(self, item: Sending) -> None:
        if not item.host.frozen:
            item.checked = True
            if not item.worker.alive or self.boot(item.host) >= item.worker.until_ns:
                self.sending.remove(item)

    def arrive(self, item: Sending) -> None:
        """At the exchange, which takes what is not too old."""
        self.sending.remove(item)
        if not item.checked or self.now_ns - item.stamp_ns > self.times.recv_window_s * S:
            return
        account, epoch = item.worker.account, item.worker.epoch
        granted = self.tables.leases[account].epoch
        assert epoch == granted, f"expected nothing of epoch {epoch} at the exchange once {granted} was granted"
        if key := self.keys.get(account):
            traded = self.tables.claims[key]
            assert account == traded, f"expected nothing of {account} at the exchange once {traded} had its key"
        self.taken.append((account, epoch))

    # ------------------------------------------------------------------ time

    def advance(self, seconds: float) -> None:
        self.now_ns += round(seconds * S)
        for host in self.hosts:
            if not host.frozen:
                self.tell(host, Tick())

    def run(self, seconds: float, *, but: tuple[Host, ...] = (), step_s: float = 0.1) -> None:
        """The network is well, but for these hosts; workers end when they are asked to."""
        for _ in range(round(seconds / step_s)):
            for item in list(self.flying):
                if item.host not in but and item in self.flying:
                    self.deliver(item)
                    if item in self.flying:
                        self.deliver(item)
            for host in self.hosts:
                self.obey(host)
            self.advance(step_s)

    def obey(self, host: Host) -> None:
        """The supervisor stops the workers that it is told to stop."""
        if host.frozen:
            return
        news, host.news = host.news, []
        for effect in news:
            if isinstance(effect, Leave | Lost):
                self.worker_ends(host, effect.account, answered=True)

    def holders(self, account: str) -> list[str]:
        ours = (Phase.HELD, Phase.LEAVING)
        return [
            host.name
            for host in self.hosts
            if (each := host.leases.accounts.get(account)) is not None
            and each.phase in ours
            and self.boot(host) < each.until_ns
        ]
