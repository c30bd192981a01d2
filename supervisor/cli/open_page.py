"""`gridbot-supervisor open`: the page in a browser, logged in. The code for that is in no address and no argument."""

from __future__ import annotations

import contextlib
import getpass
import html
import os
import secrets
import socket
import sys
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import click

from gridbot.command_line import pasteable
from gridbot.config.paths import data_directory
from gridbot.doors.plain_text import for_people
from gridbot.private_files import open_private
from supervisor.cli.options import example, place_options
from supervisor.cli.patient_client import PatientClient
from supervisor.cli.plain_output import print_lines
from supervisor.control.operator_name import before_sudo, user_at_host
from supervisor.exit_codes import CommandError, ExitCode
from supervisor.polling import wait_until
from supervisor.web.logins import CODE_S, is_unused, make_code, withdraw_code

__all__ = ["open_page"]

POLL_S: Final = 0.1
FORM: Final = """\
<!doctype html><html lang="en"><meta charset="utf-8"><title>gridbot</title>
<form method="post" action="{url}/login"><input type="hidden" name="code" value="{code}">
<button>Open gridbot</button></form><script>document.forms[0].submit()</script></html>
"""


@click.command(epilog=example("open"))
@place_options()
@click.option("--print", "in_text", is_flag=True, help="Show address and login code, for a browser elsewhere.")
def open_page(config: str | None, data_dir: str | None, in_text: bool) -> None:
    """Open the page in a browser, logged in; without a browser here, say how to reach it.

    The login is a code that is good for 60 seconds, and once.
    """
    place = data_directory(data_dir, config)
    with PatientClient(place) as client:
        url = _address(for_people(client.status()).get("web"))
    code = make_code(place, before_sudo(os.environ) or user_at_host(os.getuid()))
    if in_text or not _has_browser():
        print_lines(_in_text(url, code))
        return
    with _form(place, url, code) as form:
        if not webbrowser.open(form.as_uri()):
            print_lines(_in_text(url, code))
            return
        used = wait_until(lambda: not is_unused(place, code) or None, timeout_s=CODE_S, every_s=POLL_S)
    withdraw_code(place, code)
    if used is None:
        line = pasteable("open --print", config=config, data_dir=data_dir)
        text = f"expected the browser to log in within {CODE_S:g} s, but it did not; `{line}` shows address and code"
        raise CommandError(text, ExitCode.TIMEOUT)
    print_lines([f"the page is open in your browser: {url}"])


def _address(web: Any) -> str:
    """Where the page is. Raises CommandError when there is none."""
    if web is None:
        raise CommandError("there is no page: web.enabled is false in the configuration", ExitCode.REFUSED)
    if not web.get("url"):
        process = web["process"]
        why = process["reason"] or process["last_exit"] or "it is starting"
        raise CommandError(f"the page is not there yet ({process['state']}): {why}", ExitCode.REFUSED)
    return str(web["url"])


def _has_browser() -> bool:
    """Whether a browser can show itself here: over ssh there is no screen."""
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return False
    with contextlib.suppress(webbrowser.Error):
        return webbrowser.get() is not None
    return False


def _in_text(url: str, code: str) -> list[str]:
    port = urlsplit(url).port
    return [
        f"address: {url}/login",
        f"code:    {code}",
        f"The code is good for {CODE_S:g} seconds, and once. From another machine, first:",
        f"  ssh -L {port}:{urlsplit(url).hostname}:{port} {getpass.getuser()}@{socket.gethostname()}",
    ]


@contextlib.contextmanager
def _form(place: Path, url: str, code: str) -> Iterator[Path]:
    """A file that only this user reads, which posts the code; it is removed when it was used, or is of no use."""
    path = place / "web" / f"open-{secrets.token_hex(8)}.html"
    with open_private(path, "x", encoding="utf-8") as file:
        file.write(FORM.format(url=html.escape(url), code=html.escape(code)))
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)
