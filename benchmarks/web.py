"""What the page costs: its process with pages open, the first paint in a browser, and the workers with and without it.

bin/bench web                                     50 accounts, ten pages, a minute; five paired runs
bin/bench web --accounts 3 --pages 2 --seconds 5 --pairs 1      a try
bin/bench web --pairs 0                           only the process and the first paint

One fleet on the paper exchange trades while so many pages follow it:

    CPU          of the page's process and those that it has begun, percent of one core
    memory       PSS and RSS of these, MB; PSS divides shared pages among those who share them
    first paint  from the request until something is seen, and until the rows of the fleet are, in Chromium, ms

Then pairs of fleets, one with its page and so many of them open, one without (`web.enabled: false`), in turns; the
order changes from pair to pair. Of each the mean and the median of frame -> request of all workers, by their counts.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout need not be installed

from benchmarks.parts.fleet import Fleet, FleetError, configuration, running
from benchmarks.parts.page_paint import first_paints
from benchmarks.parts.page_viewers import Viewers, log_in
from gridbot.execution.request_counts import REQUEST_S

START_S = 300.0
SETTLE_S = 5.0
TARGETS = {"cpu_percent": 5.0, "pss_mb": 70.0, "first_paint_ms": 500.0}


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bin/bench web", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--accounts", type=int, default=50, help="paper accounts (default 50)")
    parser.add_argument("--strategies", type=int, default=2, choices=range(1, 5), help="of each account (default 2)")
    parser.add_argument("--pages", type=int, default=10, help="open at once (default 10)")
    parser.add_argument("--seconds", type=float, default=60.0, help="that each fleet is measured (default 60)")
    parser.add_argument("--pairs", type=int, default=5, help="paired runs, with and without the page (default 5)")
    parser.add_argument("--paints", type=int, default=5, help="loads of the page in Chromium (default 5)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    options = parser.parse_args(given)
    if options.accounts < 1 or options.seconds <= 0 or min(options.pages, options.pairs, options.paints) < 0:
        parser.error("expected at least one account, and pages, seconds, pairs and paints that are not negative")
    return options


def main() -> int:
    options = arguments()
    result: dict[str, Any] = {
        "benchmark": "web",
        "accounts": options.accounts,
        "pages": options.pages,
        "seconds": options.seconds,
        "cpus": os.cpu_count(),
        "load": [os.getloadavg()[0]],
    }
    try:
        with tempfile.TemporaryDirectory(prefix="gridbot-web-") as folder:
            result["page"] = page_costs(Path(folder), options)
        result["pairs"] = [pair(options, number) for number in range(options.pairs)]
    except (FleetError, OSError) as error:
        print(f"failed: {error}", file=sys.stderr)
        return 1
    result["workers"] = workers_of(result["pairs"])
    result["load"].append(os.getloadavg()[0])
    if options.json:
        print(json.dumps(result))
    else:
        show(result)
    return 0


def page_costs(home: Path, options: argparse.Namespace) -> dict[str, Any]:
    """CPU, memory and first paint with all pages open."""
    with running(home, _config(options, has_page=True)) as fleet:
        process, url = _trading(fleet, options.accounts)
        login = log_in(url, fleet.data_dir)
        with Viewers(login, options.pages) as viewers:
            time.sleep(SETTLE_S)
            found: dict[str, Any] = {"cpu_percent": _cpu_percent(process, options.seconds)}
            found |= _memory_mb(process)
            found["kb_per_page_and_second"] = round(
                viewers.bytes_read / 1e3 / max(1, options.pages) / (options.seconds + SETTLE_S), 2
            )
            found["lost_streams"] = viewers.lost
            if options.paints:
                found |= first_paints(url, fleet.data_dir, options.accounts, options.paints, home / "browser")
        return found


def pair(options: argparse.Namespace, number: int) -> dict[str, dict[str, float]]:
    """The workers of a fleet with pages open, and of one without a page."""
    found = {}
    for has_page in (True, False) if number % 2 == 0 else (False, True):
        with tempfile.TemporaryDirectory(prefix="gridbot-web-") as folder:
            found["with" if has_page else "without"] = _latency(Path(folder), options, has_page=has_page)
    return found


def _latency(home: Path, options: argparse.Namespace, *, has_page: bool) -> dict[str, float]:
    with running(home, _config(options, has_page=has_page)) as fleet:
        _, url = _trading(fleet, options.accounts, has_page=has_page)
        pages = options.pages if has_page else 0
        with Viewers(log_in(url, fleet.data_dir), pages) if pages else tempfile.TemporaryFile():
            time.sleep(SETTLE_S)
            before = _counted(fleet)
            time.sleep(options.seconds)
            after = _counted(fleet)
    counts = [late - early for late, early in zip(after[0], before[0], strict=True)]
    requests = sum(counts)
    if not requests:
        raise FleetError("expected requests within the time of a run, got none; give it more --seconds")
    return {
        "mean_us": round(1e6 * (after[1] - before[1]) / requests, 1),
        "p50_us": round(1e6 * median_of(counts), 1),
        "requests": requests,
    }


def median_of(counts: Sequence[int]) -> float:
    """The median in seconds, evenly within its bucket; the last one has no end, so it is its beginning."""
    ends = (0.0, *REQUEST_S)
    half, seen = sum(counts) / 2, 0
    for number, count in enumerate(counts):
        if count and seen + count >= half:
            if number == len(REQUEST_S):
                return REQUEST_S[-1]
            return ends[number] + (ends[number + 1] - ends[number]) * (half - seen) / count
        seen += count
    return 0.0


def _counted(fleet: Fleet) -> tuple[list[int], float]:
    """Of all workers since their start: requests by how long they took from the frame, and the sum of that, seconds."""
    status = fleet.status()
    if status is None:
        raise FleetError(f"expected a status, got none\n{fleet.tail()}")
    documents = [(row.get("counts") or {}).get("frame_to_request") for row in status["accounts"]]
    known = [document for document in documents if document]
    columns = zip(*(document["counts"] for document in known), strict=True)
    return [sum(column) for column in columns], sum(document["total_s"] for document in known)


def workers_of(pairs: Sequence[dict[str, dict[str, float]]]) -> dict[str, Any]:
    """Medians of the runs, and of the ratios within the pairs."""
    found: dict[str, Any] = {}
    for name in ("mean_us", "p50_us") if pairs else ():
        both = [(each["with"][name], each["without"][name]) for each in pairs]
        found[name] = {
            "with": statistics.median(one for one, _ in both),
            "without": statistics.median(other for _, other in both),
            "ratio": round(statistics.median(one / other for one, other in both), 3),
        }
    return found


def show(result: dict[str, Any]) -> None:
    """Lines for people: each figure, and what was wanted."""
    page, loads = result["page"], ", ".join(f"{load:.1f}" for load in result["load"])
    print(
        f"{result['accounts']} accounts, {result['pages']} pages, {result['seconds']:g} s, {result['cpus']} cores; "
        f"load before and after: {loads}"
    )
    for name, figure in page.items():
        wanted = f"   (wanted: at most {TARGETS[name]:g})" if name in TARGETS else ""
        print(f"  {name:24}{figure}{wanted}")
    for name, row in result["workers"].items():
        figures = "  ".join(f"{what} {figure}" for what, figure in row.items())
        print(f"  frame to request, {name:8}{figures}   (medians of {len(result['pairs'])} pairs)")


def _config(options: argparse.Namespace, *, has_page: bool) -> str:
    document = json.loads(configuration(options.accounts, "lively", strategies=options.strategies))
    return json.dumps(document | {"web": {"enabled": has_page, "port": 0}})


def _trading(fleet: Fleet, accounts: int, *, has_page: bool = True) -> tuple[psutil.Process, str]:
    """Wait until everyone trades, and the page is there; its process (else the supervisor's) and its address."""
    status = fleet.until(
        lambda status: (
            len(status["accounts"]) == accounts
            and all(any(each.get("open_orders") for each in row["strategies"]) for row in status["accounts"])
            and (not has_page or bool((status["web"] or {}).get("url")))
        ),
        "all to trade",
        START_S,
    )
    if not has_page:
        return psutil.Process(status["supervisor"]["pid"]), ""
    return psutil.Process(status["web"]["process"]["pid"]), str(status["web"]["url"])


def _everyone(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def _cpu_percent(process: psutil.Process, seconds: float) -> float:
    """Percent of one core of the process and its own, those that have ended meanwhile among them."""
    before, began_s = _cpu_s(process), time.monotonic()
    time.sleep(seconds)
    return round(100 * (_cpu_s(process) - before) / (time.monotonic() - began_s), 2)


def _cpu_s(process: psutil.Process) -> float:
    own = process.cpu_times()
    below = [each.cpu_times() for each in process.children(recursive=True)]
    ended = own.children_user + own.children_system
    return float(own.user + own.system + ended + sum(times.user + times.system for times in below))


def _memory_mb(process: psutil.Process) -> dict[str, float]:
    maps = [each.memory_full_info() for each in _everyone(process)]
    return {
        "pss_mb": round(sum(each.pss for each in maps) / 1e6, 1),
        "rss_mb": round(sum(each.rss for each in maps) / 1e6, 1),
    }


if __name__ == "__main__":
    sys.exit(main())
