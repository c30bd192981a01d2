"""A real browser for tests, pictures and benchmarks: Debian's Chromium without a window, driven by Playwright.

One Chromium for a whole process, with its loop in a thread of its own, which tests that have loops themselves do not
notice. A window of it costs a second of a core, so there is one for screens and one for phones, and each `Browser` is a
tab there, one at a time: it begins without cookies, storage and cache, and leaves none. Playwright downloads no browser
here. Where it or Chromium is missing, `missing` says how to get it.

Tests take Debian's headless shell where it is installed: the same engine without the windows that nobody sees, for two
thirds of the processor. Pictures and figures are of the whole browser, as people have it.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import shutil
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext, CDPSession, Page

__all__ = ["Browser", "Chromium", "missing"]

T = TypeVar("T")
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
SHELL = "chromium-headless-shell"
INSTALL = "apt-get install -y --no-install-recommends chromium"
INSTALL_DRIVER = "python -m pip install --constraint constraints.txt playwright"
FLAGS = ("--disable-gpu", "--disable-quic")
PHONE: dict[str, Any] = {"is_mobile": True, "has_touch": True, "viewport": {"width": 390, "height": 800}}
WAIT_S = 60.0
AGAIN_MS = 30
ASK_ANEW_MS = 5000
"""A page is asked to wait so long at a time: one that has gone never answers."""
WAITING_SCRIPT = """
new Promise((done) => {{
  const end = performance.now() + {longest};
  const look = () => {{
    let so = false;
    try {{ so = Boolean({condition}); }} catch {{ /* not yet there */ }}
    if (so || performance.now() > end) done(so); else setTimeout(look, {again});
  }};
  look();
}})"""
AS_STORED = """
(({{origin, all}}) => {{
  if (location.origin === origin && !localStorage.length) Object.assign(localStorage, all);
}})({given})"""
OF_THE_TEST = ("BounceTrackingIssue", "CookieIssue", "NavigationEntryMarkedSkippable")
"""Issues about how the browser is driven: no hand has touched a page, addresses change by script, and other tests have
left their cookies. Whether they come depends on how fast the machine is."""


def find_browser(*, whole: bool = False) -> str | None:
    """Path of a Chromium on this machine; a `whole` one is no headless shell where there is another."""
    return next(filter(None, map(shutil.which, (*NAMES, SHELL) if whole else (SHELL, *NAMES))), None)


def _origin(url: str) -> str:
    """Whose storage a page has."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def missing() -> str:
    """What keeps us from a browser, with the command that gets it; empty when nothing does."""
    if importlib.util.find_spec("playwright") is None:
        return f"no Playwright in this environment: {INSTALL_DRIVER}"
    return "" if find_browser() else f"no Chromium on this machine: {INSTALL}"


class Chromium:
    """The process of the browser, with the loop and the thread that speak to it. `whole`: no headless shell."""

    def __init__(self, *, whole: bool = False) -> None:
        self._path = find_browser(whole=whole)
        self._windows: dict[bool, BrowserContext] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="chromium", daemon=True)
        self._thread.start()
        self.do(self._start())

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of a coroutine in the loop of the browser."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(2 * WAIT_S)

    async def _start(self) -> None:
        from playwright.async_api import async_playwright

        self._playwright = await async_playwright().start()
        self._chromium = await self._playwright.chromium.launch(executable_path=self._path, args=FLAGS)

    def browser(self) -> Browser:
        """A page with nothing in it, and nothing remembered. One at a time: they share what is remembered."""
        return Browser(self)

    async def window(self, *, phone: bool = False) -> BrowserContext:
        """The window for screens, or the one for phones; a tab without anything keeps it open."""
        if phone not in self._windows:
            self._windows[phone] = await self._chromium.new_context(accept_downloads=True, **(PHONE if phone else {}))
            self._windows[phone].set_default_timeout(WAIT_S * 1000)
            await self._windows[phone].new_page()
        return self._windows[phone]

    def close(self) -> None:
        """End the browser and wait for it."""
        self.do(self._chromium.close())
        self.do(self._playwright.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Browser:
    """One page. Calls wait for their answers; each raises Playwright's `Error` when the page does."""

    def __init__(self, chromium: Chromium) -> None:
        self._do = chromium.do
        self._chromium = chromium
        self._requested: list[str] = []
        self._complaints: list[str] = []
        self._origins: set[str] = set()
        self.page: Page
        self._context: BrowserContext
        self._issues: CDPSession
        self._do(self._open())

    async def _open(self, *, phone: bool = False) -> None:
        self._context = await self._chromium.window(phone=phone)
        self.page = await self._context.new_page()
        self.page.on("request", lambda request: self._requested.append(request.url))
        self.page.on("framenavigated", lambda frame: self._origins.add(_origin(frame.url)))
        self.page.on("console", lambda said: self._complain(f"{said.type}: {said.text} {said.location}"))
        self.page.on("pageerror", lambda error: self._complain(f"error: {error}"))
        self._issues = await self._context.new_cdp_session(self.page)  # Playwright has no event for those
        self._issues.on("Audits.issueAdded", lambda found: self._complain(f"issue: {found}"))
        await self._issues.send("Audits.enable")

    def _complain(self, text: str) -> None:
        if not any(f"'{name}'" in text for name in OF_THE_TEST):
            self._complaints.append(text)

    def close(self) -> None:
        """Forget the page and all that it has stored."""
        self._do(self._forget())

    async def _forget(self) -> None:
        await self._issues.send("Network.clearBrowserCache")
        for origin in self._origins:
            await self._issues.send("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": "all"})
        await self._context.clear_cookies()
        await self._context.clear_permissions()
        for page in self._context.pages[1:]:
            await page.close()

    def screen(self, width: int, height: int, *, dark: bool = False) -> None:
        """The size of the screen in CSS pixels, and which colours its user prefers."""
        self._do(self.page.set_viewport_size({"width": width, "height": height}))
        self._do(self.page.emulate_media(color_scheme="dark" if dark else "light"))

    def to_phone(self, width: int, height: int) -> None:
        """Go on as a phone, whose screen is touched: with the same login, at the same address, loaded anew."""
        self._do(self._to_phone(width, height))

    async def _to_phone(self, width: int, height: int) -> None:
        url, kept = self.page.url, await self._context.storage_state()
        await self._forget()
        await self._open(phone=True)
        await self.page.set_viewport_size({"width": width, "height": height})
        await self._context.add_cookies(kept["cookies"])  # type: ignore[arg-type]  # as they are given
        for each in kept["origins"]:
            stored = {one["name"]: one["value"] for one in each["localStorage"]}
            given = json.dumps({"origin": each["origin"], "all": stored})
            await self.page.add_init_script(AS_STORED.format(given=given))
        if url != "about:blank":
            await self.page.goto(url)

    def go(self, url: str) -> None:
        """Open an address, and be there. Forgets what was said and asked for before."""
        self._requested.clear()
        self._complaints.clear()
        self._do(self.page.goto(url, wait_until="commit"))

    def before_each_page(self, script: str) -> None:
        """Run a script in each page that is opened from now on, before its own."""
        self._do(self.page.add_init_script(script))

    def open(self, path: Path) -> None:
        """Open a file and wait until it is loaded."""
        self.go(path.absolute().as_uri())
        self._do(self.page.wait_for_load_state("load"))

    def run(self, script: str) -> Any:
        """The value of an expression in the page; of a promise, what it comes to."""
        return self._do(self.page.evaluate(script))

    def click(self, place: str) -> None:
        """Click where a hand can: waits until it is seen, holds still and is not covered."""
        self._do(self.page.click(place))

    def press(self, words: str) -> None:
        """Click the button whose name has these words."""
        self._do(self.page.get_by_role("button", name=words).first.click())

    def fill(self, place: str, value: str) -> None:
        """Put a value into a field, or choose one of a list."""
        self._do(self._fill(place, value))

    async def _fill(self, place: str, value: str) -> None:
        field = self.page.locator(place)
        if await field.evaluate("(it) => it.tagName") == "SELECT":
            await field.select_option(value)
        else:
            await field.fill(value)

    def keys(self, *names: str) -> None:
        """Press keys, one after the other."""
        for name in names:
            self._do(self.page.keyboard.press(name))

    def shows(self, condition: str, what: str, within_s: float = WAIT_S) -> None:
        """Wait until an expression is true in the page, on whatever page the browser is by then."""
        look = WAITING_SCRIPT.format(condition=condition, longest=ASK_ANEW_MS, again=AGAIN_MS)

        def is_so() -> bool:
            from playwright.async_api import Error

            try:
                return bool(self.run(look))
            except Error:  # between two pages
                return False

        self.until(is_so, f"{what}: {condition}", within_s)

    def until(self, condition: Callable[[], Any], what: str, within_s: float = WAIT_S) -> None:
        """Ask until it is so."""
        deadline = time.monotonic() + within_s
        while not condition():
            assert time.monotonic() < deadline, f"waited {within_s:g} s for {what}"
            time.sleep(AGAIN_MS / 1000)

    def downloaded(self, place: str) -> tuple[str, Path]:
        """Click there, and wait for the file: the name that it was given, and where it lies until `close`."""
        return self._do(self._downloaded(place))

    async def _downloaded(self, place: str) -> tuple[str, Path]:
        async with self.page.expect_download() as begun:
            await self.page.click(place)
        file = await begun.value
        return file.suggested_filename, Path(await file.path())

    def requested(self) -> list[str]:
        """Addresses that the page has asked for since `go`."""
        return list(self._requested)

    def complaints(self) -> list[str]:
        """What the page's console, its errors and its security policy have said since `go`."""
        self.run("0")  # what was said before this has come by then
        return list(self._complaints)

    def picture(self, path: Path, *, quality: int | None = None) -> None:
        """Put a picture of the screen into a file, whose name says of which kind."""
        kind: Any = path.suffix[1:]
        self._do(self.page.screenshot(path=path, type=kind, quality=quality))
