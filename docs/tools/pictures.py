"""The pictures of README and docs: `bin/screenshots` takes them in a real browser, of what really runs.

The page is that of the demo (`conf/demo.yaml`), the report that of the shipped day (`conf/example`). Both markets come
from a seed or a file, so the pictures are the same each time but for the time of day and what the machine's load does
to the demo. A view is a row of VIEWS.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from supervisor.cli.open_page import FORM
from supervisor.web.logins import make_code
from supervisor.web.web_server import WebServer
from supervisor.web.web_spec import WebSpec
from tests.real_browser import Browser, Chromium, missing

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "docs" / "pictures"
LARGEST_BYTES = 100_000
QUALITY = 60
DEMO_RUNS_S = 75
"""How long the demo has traded when the pictures are taken: the curves have a shape by then."""
DEADLINE_S = 240
PATIENCE_S = 10.0
ADDED = """
web: {port: 0}
defaults: {strategies: {caps: {max_orders_per_minute: 3000}}}  # no alert where a fast market comes near the usual cap
"""
"""What the configuration of the demo has here beyond its own."""


@dataclass(frozen=True, slots=True)
class View:
    """One picture, taken light and dark.

    `address`: the part behind # of the demo's page (`of="demo"`) or of the report. `width`, `height`: the screen, CSS
    pixels. `ready`: what is true in the page when it can be taken. `click`: selectors of what is clicked before.
    """

    name: str
    of: str
    address: str
    width: int
    height: int
    ready: str
    click: str = ""


HEALTHY = (
    "document.querySelector('.health.good') && !document.body.innerText.includes('Reading the') && "
    "[...document.querySelectorAll('.totals td[data-title=\"Grid\"]')].every((cell) => cell.innerText !== '–')"
)
LADDER = "document.querySelector('.health.good') && document.querySelectorAll('.picture .fill').length > 5"
PROCESSES = (
    "document.querySelector('.health.good') && document.querySelectorAll('main table').length > 2 && "
    "!document.body.innerText.includes('Reading')"
)
CURVES = "document.querySelectorAll('canvas').length > 1"
VIEWS = (
    View("fleet", "demo", "#/", 1440, 470, HEALTHY, click="tr.account button"),
    View("strategy", "demo", "#/alice/alice-btc", 1440, 800, LADDER),
    View("operations", "demo", "#/operations", 1440, 900, PROCESSES),
    View("report", "report", "#curves", 1100, 866, CURVES),
)


def gridbot(data_dir: Path, *arguments: str) -> str:
    """What a command says. It has to succeed; a busy machine makes reports late, which `status` calls degraded."""
    command = [sys.executable, "-m", "supervisor", *arguments, "--data-dir", str(data_dir)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GRIDBOT_")}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode not in ((0, 5, 6) if arguments[0] == "status" else (0,)):
        raise SystemExit(
            f"screenshots: expected exit code 0 of `{' '.join(arguments)}`, got {done.returncode}: {done.stderr}"
        )
    return done.stdout


@contextlib.contextmanager
def demo(home: Path) -> Iterator[Path]:
    """The demo, trading for a while already: its data directory."""
    data_dir, config = home / "demo", home / "demo.yaml"
    config.write_text((ROOT / "conf" / "demo.yaml").read_text(encoding="utf-8") + ADDED, encoding="utf-8")
    gridbot(data_dir, "start", "--detach", "-c", str(config))
    try:
        for command in ("pause", "resume"):  # so that the record of commands has some
            gridbot(data_dir, command, "bob/bob-sol")
        tell(f"the demo trades for {DEMO_RUNS_S} s")
        deadline = time.monotonic() + DEMO_RUNS_S + DEADLINE_S
        while True:
            status: dict[str, Any] = json.loads(gridbot(data_dir, "status", "--json"))
            if status["web"]["url"] and status["supervisor"]["uptime_s"] >= DEMO_RUNS_S:
                break
            if time.monotonic() > deadline:
                raise SystemExit("screenshots: expected a page of the demo, got none")
            time.sleep(2)
        yield data_dir
    finally:
        gridbot(data_dir, "stop")


@contextlib.contextmanager
def patient_page(data_dir: Path) -> Iterator[str]:
    """The page's own server beside that of the demo, on the same records, which it may hold for longer: what a busy
    machine does not read in time would be a dash in a picture. Gives its address.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = WebServer(WebSpec(data_dir, hold_s=PATIENCE_S))
    try:
        asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result(DEADLINE_S)
        yield server.url
        asyncio.run_coroutine_threadsafe(server.__aexit__(None, None, None), loop).result(DEADLINE_S)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def report(home: Path) -> Path:
    """The report of a backtest on the shipped day."""
    config = ("-c", str(ROOT / "conf" / "example" / "grid.yaml"))
    data_dir = home / "example"
    gridbot(data_dir, "data", "import", "conf/example", *config)
    gridbot(data_dir, "backtest", *config, "--from", "2026-09-01", "--to", "2026-09-01", "--name", "narrow")
    gridbot(data_dir, "report", "--run", "narrow", *config)
    [page] = (data_dir / "reports").glob("*.html")
    return page


def log_in(browser: Browser, url: str, data_dir: Path, home: Path) -> None:
    """By the file that `open` writes."""
    form = home / "form.html"
    form.write_text(FORM.format(url=url, code=make_code(data_dir)), encoding="utf-8")
    browser.go(form.as_uri())
    browser.shows("document.querySelectorAll('tr.account').length > 0", "the page of the demo")


def take(browser: Browser, view: View, place: Path) -> list[Path]:
    """The two pictures of a view that is open. Each is what fits on the screen."""
    for place_of_click in filter(None, view.click.split(", ")):
        browser.click(place_of_click)
    taken = []
    for colours in ("light", "dark"):
        browser.screen(view.width, view.height, dark=colours == "dark")
        browser.shows(view.ready, view.name, DEADLINE_S)
        drawn = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))"
        browser.run(drawn)
        path = place / f"{view.name}-{colours}.webp"
        browser.picture(path, quality=QUALITY)
        tell(f"{path}: {path.stat().st_size / 1000:.0f} kB")
        if path.stat().st_size > LARGEST_BYTES:
            raise SystemExit(
                f"screenshots: expected at most {LARGEST_BYTES // 1000} kB of {path.name}: make it smaller"
            )
        taken.append(path)
    return taken


def tell(text: str) -> None:
    print(f"screenshots: {text}", flush=True)


def main(arguments: Sequence[str]) -> None:
    """Take all pictures, or those that are named."""
    parser = argparse.ArgumentParser(prog="bin/screenshots", description="Take the pictures of README and docs.")
    parser.add_argument("names", nargs="*", metavar="VIEW", help=f"of {', '.join(view.name for view in VIEWS)}")
    parser.add_argument("--out", type=Path, default=PICTURES, help="where they go (default: docs/pictures)")
    given = parser.parse_args(arguments)
    if unknown := set(given.names) - {view.name for view in VIEWS}:
        parser.error(f"expected {', '.join(view.name for view in VIEWS)}, got {', '.join(sorted(unknown))}")
    wanted = [view for view in VIEWS if not given.names or view.name in given.names]
    if reason := missing():
        raise SystemExit(f"screenshots: {reason}")
    given.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="gridbot-pictures-") as directory, contextlib.ExitStack() as ends:
        home = Path(directory)
        chromium = Chromium(whole=True)
        ends.callback(chromium.close)
        browser = chromium.browser()
        for view in (view for view in wanted if view.of == "report"):
            browser.screen(view.width, view.height)
            browser.open(report(home))
            browser.run(f"location.hash = {view.address!r}")
            take(browser, view, given.out)
        if of_the_demo := [view for view in wanted if view.of == "demo"]:
            data_dir = ends.enter_context(demo(home))
            browser.screen(1360, 800)
            log_in(browser, ends.enter_context(patient_page(data_dir)), data_dir, home)
            for view in of_the_demo:
                browser.screen(view.width, view.height)
                browser.run(f"location.hash = {view.address!r}")
                take(browser, view, given.out)


if __name__ == "__main__":
    main(sys.argv[1:])
