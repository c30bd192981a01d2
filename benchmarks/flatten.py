"""`flatten --all` at the worst moment: open positions everywhere, some workers dead and one hung.

bin/bench flatten                                 50 accounts, two strategies each, three dead, one hung
bin/bench flatten --accounts 10 --dead 2 --hung 1

A real fleet on the paper exchange, with the limit of an address on. When all accounts have open legs and orders at
rest, some workers get kill -9 and stay down (each is given up at once), another is frozen, and one `flatten --all` is
given.

    flat        from the command to `flat, confirmed by REST`, for the first, the middle and the last account
    requests    what the exchange was asked to do meanwhile, by account, endpoint and way (counted in the exchange)
    left        orders and legs on the exchange afterwards, by its own lists, asked by plain pybit

Exit code 1 when an account is not flat, something is left, or the address was banned.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout need not be installed

from benchmarks.parts.fleet import Fleet, FleetError, account_names, configuration, running
from benchmarks.parts.fleet_figures import kinds_of_requests, spread
from benchmarks.parts.own_supervisor import Status, child_rows
from benchmarks.parts.plain_books import Books, PlainBooks

START_S = 400.0
OPEN_S = 300.0


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bin/bench flatten", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--accounts", type=int, default=50, help="paper accounts (default 50)")
    parser.add_argument("--dead", type=int, default=3, help="workers that are killed and stay down (default 3)")
    parser.add_argument("--hung", type=int, default=1, help="workers that are frozen (default 1)")
    parser.add_argument("--scenario", default="lively", help="of the synthetic market (default lively; docs/paper.md)")
    parser.add_argument("--seed", type=int, default=1, help="draws who (default 1)")
    parser.add_argument("--keep", type=Path, help="an empty directory for the fleet, which stays; else it is removed")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    options = parser.parse_args(given)
    if options.accounts < 1 or min(options.dead, options.hung) < 0 or options.dead + options.hung > options.accounts:
        parser.error("expected at least one account, and no more dead and hung workers than there are accounts")
    return options


def main() -> int:
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the fleet is stopped on the way
    with tempfile.TemporaryDirectory() as folder:
        home: Path = options.keep or Path(folder)
        (home / "probe").mkdir(parents=True, exist_ok=True)
        try:
            result = run(home, options)
        except FleetError as error:
            print(f"failed: {error}", file=sys.stderr)
            return 1
    if options.json:
        print(json.dumps(result))
    else:
        show(result)
    return 0 if result["flat"] == options.accounts and not result["left"] and not result["banned"] else 1


def run(home: Path, options: argparse.Namespace) -> dict[str, Any]:
    """The whole of it; the figures by name."""
    document = json.loads(configuration(options.accounts, options.scenario, limited=True))
    document["supervisor"] = {"restart": {"max_restarts": 0}}  # a worker that dies is given up at once, and stays down
    names = account_names(options.accounts)
    with running(home, json.dumps(document), probe=home / "probe") as fleet:
        fleet.until(lambda status: all(_trades(row) for row in status["accounts"]), "all to trade", START_S)
        status = fleet.until(lambda status: all(_open(row) for row in status["accounts"]), "open legs", OPEN_S)
        dead, hung = strike(fleet, status, options)
        result: dict[str, Any] = {
            "accounts": options.accounts,
            "dead": dead,
            "hung": hung,
            "legs": sum(_open(row) for row in status["accounts"]),
            "orders": sum(row["open_orders"] for account in status["accounts"] for row in account["strategies"]),
            "load": [round(os.getloadavg()[0], 1)],
        }
        began, began_s = time.time(), time.monotonic()
        done = fleet.run("flatten", "--all", "--expect", str(options.accounts), "--json", within_s=300)
        result |= {"command_s": round(time.monotonic() - began_s, 2), "exit": done.returncode}
        result |= told(done.stdout, done.stderr)
        time.sleep(2.0)  # the exchange's counts come each second
        result |= asked(home / "probe", names, began, time.time())
        result["left"] = left(fleet, names)
        result["load"].append(round(os.getloadavg()[0], 1))
    return result


def strike(fleet: Fleet, status: Status, options: argparse.Namespace) -> tuple[list[str], list[str]]:
    """kill -9 of some and SIGSTOP of others; who, once those that are dead are given up."""
    drawn = random.Random(options.seed).sample(account_names(options.accounts), options.dead + options.hung)
    dead, hung = sorted(drawn[: options.dead]), sorted(drawn[options.dead :])
    for account in dead:
        fleet.kill(f"worker-{account}")
    fleet.until(
        lambda status: all(child_rows(status)[f"worker-{name}"]["state"] == "FATAL" for name in dead), "deaths", 30.0
    )
    for account in hung:
        os.kill(int(child_rows(status)[f"worker-{account}"]["pid"]), signal.SIGSTOP)
    return dead, hung


def told(stdout: str, stderr: str) -> dict[str, Any]:
    """What the command said of each account."""
    try:
        rows = json.loads(stdout)["targets"]
    except (ValueError, KeyError):
        raise FleetError(f"expected JSON of flatten, got {stdout[-500:]} {stderr[-500:]}") from None
    took = sorted(row["took_s"] for row in rows if row["ok"])
    times = {"first": took[0], "median": statistics.median(took), "last": took[-1]} if took else {}
    return {
        "flat": len(took),
        "flat_s": {name: round(value, 2) for name, value in times.items()},
        "slowest": [f"{row['target']}: {row['took_s']} s: {row['result'] or row['error']}" for row in _slowest(rows)],
        "not_flat": [f"{row['target']}: {row['error']}" for row in rows if not row["ok"]],
    }


def _slowest(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: -float(row["took_s"]))[:5]


def asked(probe: Path, names: Sequence[str], since: float, until: float) -> dict[str, Any]:
    """Requests from the command on: by account, by endpoint and way, and those of a banned address."""
    counts = kinds_of_requests(probe, since, until)
    banned = counts.pop("403", 0)
    each: Counter[str] = Counter(dict.fromkeys(names, 0))
    http: Counter[str] = Counter(dict.fromkeys(names, 0))
    by_kind: Counter[str] = Counter()
    for key, count in counts.items():
        account, path, way = key.split(" ")
        each[account] += count
        http[account] += count if way == "http" else 0
        by_kind[f"{path} {way}"] += count
    return {
        "requests": {"all": sum(each.values()), "account": spread([float(n) for n in each.values()], 0)},
        "http": {"all": sum(http.values()), "account": spread([float(n) for n in http.values()], 0)},
        "kinds": dict(by_kind.most_common()),
        "banned": banned,
    }


def left(fleet: Fleet, names: Sequence[str]) -> list[str]:
    """What rests and what is open on the exchange. At a pace that leaves the address its limit."""
    status = fleet.status()
    url = "" if status is None else status["paper"]["url"]
    plain = PlainBooks(fleet.config, fleet.data_dir)
    found = []
    for name in names:
        books: Books = plain.books(name, url)
        if books.resting or books.legs:
            found.append(f"{name}: {books.resting} orders, {books.legs}")
        time.sleep(0.05)
    return found


def _trades(row: Status) -> bool:
    return row["health"] is not None and all(each.get("open_orders") for each in row["strategies"])


def _open(row: Status) -> int:
    """Open legs of an account."""
    legs = (each.get(side) or {} for each in row["strategies"] for side in ("long", "short"))
    return sum(float(leg.get("size") or 0) > 0 for leg in legs)


def show(result: dict[str, Any]) -> None:
    print(
        f"{result['accounts']} accounts x 2 strategies, {result['legs']} open legs, {result['orders']} orders at rest; "
        f"dead: {' '.join(result['dead']) or 'none'}; hung: {' '.join(result['hung']) or 'none'}"
    )
    print(f"load before and after: {', '.join(map(str, result['load']))}")
    times = ", ".join(f"{name} {value} s" for name, value in result["flat_s"].items())
    print(f"flat: {result['flat']} of {result['accounts']} ({times}); the command: {result['command_s']} s")
    for name in ("requests", "http"):
        each = result[name]["account"]
        print(f"{name}: {result[name]['all']}; of an account: median {each['p50']:g}, most {each['max']:g}")
    for kind, count in result["kinds"].items():
        print(f"  {count:6} {kind}")
    print(f"answers 403: {result['banned']}; left on the exchange: {len(result['left'])}")
    for line in (*result["slowest"], *result["not_flat"], *result["left"]):
        print(f"  {line}")


if __name__ == "__main__":
    sys.exit(main())
