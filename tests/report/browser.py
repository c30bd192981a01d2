"""A real browser for tests: Chromium without a window, spoken to over two pipes (its DevTools protocol).

No package is needed beyond Chromium itself; where it is missing, tests skip and say how to install it.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
INSTALL = "apt-get install -y --no-install-recommends chromium"
FLAGS = """
--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
--disable-component-update --disable-sync --disable-extensions --disable-dev-shm-usage --hide-scrollbars
--remote-debugging-pipe
""".split()  # noqa: SIM905
WAIT_S = 60.0
AGAIN_S = 0.03
OF_THE_TEST = ("BounceTrackingIssue", "CookieIssue", "NavigationEntryMarkedSkippable")
"""Issues about how the browser is driven: no hand has touched a page, addresses change by script, and other tests have
left their cookies. Whether they come depends on how fast the machine is."""


def find_browser() -> str | None:
    """Path of a Chromium on this machine."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """One browser with one page. `events` are those of the page since `open`, by method."""

    def __init__(self, program: str, profile: Path) -> None:
        shell = ["/bin/sh", "-c", 'exec "$@" 3<&0 4>&1 </dev/null >/dev/null', "sh"]
        command = [*shell, program, *FLAGS, f"--user-data-dir={profile}"]
        home = os.environ | {"HOME": str(profile), "XDG_CONFIG_HOME": str(profile), "XDG_CACHE_HOME": str(profile)}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=home
        )
        self._buffer = b""
        self._last = 0
        self.events: list[tuple[str, dict[str, Any]]] = []
        self._session: str | None = None
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log", "Audits"):
            self.send(f"{domain}.enable")

    def close(self) -> None:
        """End the browser and wait for it."""
        self._process.terminate()
        try:
            self._process.wait(WAIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(WAIT_S)

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """The result of a call of the protocol."""
        self._last += 1
        number = self._last
        message: dict[str, Any] = {"id": number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\0")
        self._process.stdin.flush()
        deadline = time.monotonic() + WAIT_S
        while True:
            answer = self._read(deadline)
            if answer.get("id") == number:
                assert "error" not in answer, (method, answer)
                result: dict[str, Any] = answer["result"]
                return result
            self.events.append((answer["method"], answer["params"]))

    def _read(self, deadline: float) -> dict[str, Any]:
        assert self._process.stdout is not None
        while b"\0" not in self._buffer:
            left = deadline - time.monotonic()
            ready, _, _ = select.select([self._process.stdout], [], [], max(0.0, left))
            assert ready, "the browser says nothing"
            more = os.read(self._process.stdout.fileno(), 1 << 20)
            assert more, "the browser has ended"
            self._buffer += more
        text, _, self._buffer = self._buffer.partition(b"\0")
        answer: dict[str, Any] = json.loads(text)
        return answer

    def screen(self, width: int, height: int, *, dark: bool = False, phone: bool = False) -> None:
        """The size of the screen in CSS pixels, and which colours its user prefers."""
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, path: Path) -> None:
        """Open a file and wait until it is loaded."""
        self.events.clear()
        self.send("Page.navigate", url=path.absolute().as_uri())
        self.until(lambda: self.run("document.readyState") == "complete", "the page")

    def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        answer = self.send("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def until(self, condition: Callable[[], Any], what: str) -> None:
        """Ask until it is so, again after an event of the page or AGAIN_S: asked all the time, it has no rest."""
        assert self._process.stdout is not None
        deadline = time.monotonic() + WAIT_S
        while not condition():
            assert time.monotonic() < deadline, f"waited {WAIT_S} s for {what}"
            select.select([self._process.stdout], [], [], AGAIN_S)

    def requested(self) -> list[str]:
        """Addresses that the page has asked for since `open`."""
        return [params["request"]["url"] for method, params in self.events if method == "Network.requestWillBeSent"]

    def complaints(self) -> list[str]:
        """What the page's console, its errors and its security policy have said since `open`."""
        telling = {"Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded", "Audits.issueAdded"}
        said = [f"{method}: {params}" for method, params in self.events if method in telling]
        return [text for text in said if not any(f"'{name}'" in text for name in OF_THE_TEST)]

    def picture(self, path: Path) -> None:
        """Put a picture of the whole page into a file."""
        taken = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(taken["data"]))
