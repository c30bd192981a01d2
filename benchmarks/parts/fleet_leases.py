"""Leases of thousands of accounts on a hundred hosts: what they ask of the database, and how late it answers."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from benchmarks.parts.fleet_database import load_between, own_server, sample
from benchmarks.parts.fleet_figures import spread
from supervisor.fleet.host_placement import HostSeen, Wanted, placement
from supervisor.fleet.host_store import HostFacts, HostStore
from supervisor.fleet.lease_types import HostId, LeaseTimes
from supervisor.fleet.postgres_link import PostgresLink

__all__ = ["leases_of"]

ROOT: Final = Path(__file__).resolve().parents[2]
PROCESSES: Final = 2
FAILED_AFTER_S: Final = 300.0
POLL_S: Final = 0.25
LOOKS: Final = 10
Json = dict[str, Any]


class _Crew:
    """The processes that have the hosts, and which host is in which."""

    def __init__(self, dsn: str, times: LeaseTimes, hosts: Sequence[str]) -> None:
        command = [sys.executable, str(ROOT / "benchmarks" / "parts" / "lease_hosts.py")]
        self._processes = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for _ in range(PROCESSES)
        ]
        first = {"dsn": dsn, "times": {"ttl_s": times.ttl_s, "margin_s": times.margin_s}}
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write(json.dumps(first) + "\n")
        self._of = {host: self._processes[number % PROCESSES] for number, host in enumerate(hosts)}

    def want(self, homes: Mapping[str, str]) -> None:
        """By account its host; every host hears what it is to have."""
        wanted: dict[str, list[str]] = {host: [] for host in self._of}
        for account, host in homes.items():
            wanted[host].append(account)
        for process in self._processes:
            _ask(
                process, {"do": "want", "accounts": {host: wanted[host] for host in wanted if self._is(host, process)}}
            )

    def _is(self, host: str, process: subprocess.Popen[str]) -> bool:
        return self._of[host] is process

    def kill(self, host: str) -> float:
        """The time, in monotonic seconds."""
        _ask(self._of.pop(host), {"do": "kill", "host": host})
        return time.monotonic()

    def figures(self) -> Json:
        """Of all processes together."""
        found: Json = {"renewals_ms": [], "lapsed": 0, "gained": {}, "renewed": {}, "cpu_s": 0.0}
        for each in [_ask(process, {"do": "figures"}) for process in self._processes]:
            found["renewals_ms"] += each["renewals_ms"]
            found["lapsed"] += each["lapsed"]
            found["cpu_s"] += each["cpu_s"]
            for key in ("gained", "renewed"):
                known = found[key]
                known.update({name: at for name, at in each[key].items() if at > known.get(name, 0.0)})
        return found

    def end(self) -> None:
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.close()
        for process in self._processes:
            process.wait(60)


def leases_of(accounts: int, hosts: int, seconds: float) -> Json:
    """From the first to the last: all are taken, renewed for a while, a host dies, the database restarts. In seconds,
    where no other unit is named. Raises TimeoutError."""
    times = LeaseTimes()
    names = [f"a{number:05d}" for number in range(accounts)]
    known = [HostSeen(f"h{number:03d}", -(-accounts * 2 // hosts), frozenset(names)) for number in range(hosts)]
    wanted = [Wanted(name) for name in names]
    result: Json = {"accounts": accounts, "hosts": hosts, "seconds": seconds, "ttl_s": times.ttl_s}
    with own_server(3 * hosts + 20) as server, _crew(server.dsn(), times, [host.name for host in known]) as crew:
        homes, result["placement_s"] = _placed(known, wanted, {})
        began = time.monotonic()
        crew.want(homes)
        _until(lambda: len(crew.figures()["gained"]) == accounts, "every account to have a host")
        result["all_taken_s"] = round(time.monotonic() - began, 2)

        before, hosts_cpu = sample(server), crew.figures()["cpu_s"]
        time.sleep(seconds)
        after, figures = sample(server), crew.figures()
        load = load_between(before, after)
        result["renewal_ms"] = spread(figures["renewals_ms"])
        result["lapsed"] = figures["lapsed"]
        result["database"] = {
            "transactions_per_s": round(load.transactions, 1),
            "cpu_percent": round(load.cpu * 100, 1),
            "log_kb_per_s": round(load.log_bytes / 1000, 1),
            "rows_per_s": round(load.changed, 1),
            "in_place": round(load.in_place, 3),
        }
        result["look_ms"] = asyncio.run(_look_ms(server.dsn(), known))
        result["hosts_cpu_percent"] = round((figures["cpu_s"] - hosts_cpu) / (after.at_s - before.at_s) * 100, 1)

        dead = known[len(known) // 2].name
        orphans = [name for name, host in homes.items() if host == dead]
        died = crew.kill(dead)
        time.sleep(times.ttl_s)  # as long its registration says that it lives
        living = [host for host in known if host.name != dead]
        homes, result["placement_again_s"] = _placed(living, wanted, homes)
        crew.want(homes)
        gained = _until(lambda: _gained_after(crew.figures()["gained"], orphans, died), "the dead host's accounts")
        result["moved"] = {"accounts": len(orphans), "s": spread([at - died for at in gained])}

        crew.figures()
        server.stop(at_once=True)
        stopped = time.monotonic()
        server.run()
        back = time.monotonic()
        renewed = _until(lambda: _all_after(crew.figures()["renewed"], names, back), "every lease to be renewed")
        figures = crew.figures()
        result["restart"] = {
            "away_s": round(back - stopped, 2),
            "renewed_s": spread([at - back for at in renewed]),
            "lapsed": figures["lapsed"],
        }
    return result


async def _look_ms(dsn: str, hosts: Sequence[HostSeen]) -> float:
    """CPU of a host that looks at all the others, which offer for every account, and at all leases."""
    link = PostgresLink(dsn, name="look", limit_s=FAILED_AFTER_S)
    store = HostStore(link)
    for host in hosts:
        me = HostId(host.name, "look")
        await store.register(me, FAILED_AFTER_S, host.capacity, "", "")
        await store.beat(me, FAILED_AFTER_S, HostFacts(offers=host.offers))
    await store.view()
    began = time.process_time()
    for _ in range(LOOKS):
        await store.view()
    used_s = time.process_time() - began
    await link.close()
    return round(used_s / LOOKS * 1000, 1)


@contextmanager
def _crew(dsn: str, times: LeaseTimes, hosts: Sequence[str]) -> Iterator[_Crew]:
    crew = _Crew(dsn, times, hosts)
    try:
        yield crew
    finally:
        crew.end()


def _placed(hosts: Sequence[HostSeen], wanted: Sequence[Wanted], holders: Mapping[str, str]) -> tuple[Json, float]:
    """By account its host, and the CPU seconds that it took to find out."""
    began = time.process_time()
    found = placement(hosts, wanted, holders, {})
    return dict(found.homes), round(time.process_time() - began, 3)


def _gained_after(gained: Mapping[str, float], names: Sequence[str], since: float) -> list[float] | None:
    at = [gained[name] for name in names if gained[name] > since]
    return at if len(at) == len(names) else None


def _all_after(renewed: Mapping[str, float], names: Sequence[str], since: float) -> list[float] | None:
    at = [renewed.get(name, 0.0) for name in names]
    return at if min(at) > since else None


def _until(condition: Any, what: str) -> Any:
    deadline = time.monotonic() + FAILED_AFTER_S
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {FAILED_AFTER_S:g} s in vain for {what}")
        time.sleep(POLL_S)
    return found


def _ask(process: subprocess.Popen[str], command: Json) -> Json:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(command) + "\n")
    process.stdin.flush()
    line = process.stdout.readline()
    if not line:
        raise TimeoutError("a process of hosts has ended; its console says why")
    return dict(json.loads(line))
