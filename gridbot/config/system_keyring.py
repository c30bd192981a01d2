"""The system keyring (the extra `keyring`): read, written and cleared by a process of its own, within a deadline.

`keyring_child.py` is that process. It gets the variables that lead to a keyring and none that may hold a secret.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gridbot.command_line import install_line

__all__ = ["PARTS", "TYPING_S", "Answer", "Trouble", "ask_keyring", "entries_of"]

SERVICE: Final = "gridbot"
PARTS: Final = ("api_key", "api_secret")
"""What is stored of each account, an entry each."""
DEADLINE_S: Final = 10.0
"""Seconds that the keyring has for all entries together: a start waits that long, and no longer."""
TYPING_S: Final = 60.0
"""Seconds that it has when somebody sits there, who may have to unlock it."""
MORE_S: Final = 60.0
"""Seconds that Python has besides, to start on a machine under load."""
_PASSED: Final = re.compile(
    r"(HOME|PATH|USER|LOGNAME|LANG|TMPDIR|DISPLAY|WAYLAND_DISPLAY|GNOME_KEYRING_CONTROL|PYTHON\w*|VIRTUAL_ENV"
    r"|LC_\w+|DBUS_\w+|XDG_\w+|KEYRING_\w+|KDE_\w+)\Z"
)
_CHILD: Final = Path(__file__).with_name("keyring_child.py")
SYSTEMD: Final = (
    "a service has none: there use systemd's credentials, `api_key_file: ${CREDENTIALS_DIRECTORY}/NAME` and "
    "`api_secret_file`, in place of `keyring` (docs/secrets.md)"
)


class Trouble(Exception):
    """Why the keyring could not be used: what was expected, what came, what to do."""

    def __init__(self, expected: str, got: str, do: str) -> None:
        super().__init__(f"expected {expected}, got {got}; {do}")
        self.expected, self.got, self.do = expected, got, do


@dataclass(frozen=True, slots=True)
class Answer:
    """`backend`: the class that keeps the entries. `values`: in the order asked, "" for one that is not there."""

    backend: str
    values: tuple[str, ...]


def entries_of(account: str) -> list[str]:
    """The names of an account's entries, of its key and of its secret."""
    return [f"{account}/{part}" for part in PARTS]


def ask_keyring(do: str, asked: Sequence[str], environ: Mapping[str, str], within_s: float = DEADLINE_S) -> Answer:
    """`do`: get, set or remove. `asked`: names of entries, with `set` each followed by its value. Raises Trouble."""
    command = [sys.executable, "-P", str(_CHILD), do, SERVICE, str(within_s)]
    passed = {name: value for name, value in environ.items() if _PASSED.match(name)}
    try:
        done = subprocess.run(
            command, input="\0".join(asked).encode(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=passed,
            timeout=within_s + MORE_S, start_new_session=True, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise _late(within_s) from None
    except OSError as error:
        raise Trouble("a process that asks the system keyring", f"none ({error.strerror})", "try again") from None
    if done.returncode == -signal.SIGALRM or not (done.stdout or done.returncode):
        raise _late(within_s)  # 0 without a word: as process 1 we had reaped it (supervisor/process/adopted.py)
    how, _, rest = done.stdout.decode("utf-8", "replace").partition("\0")
    about, *values = rest.split("\0")
    if how == "ok":
        return Answer(about, tuple(values))
    raise _trouble(how, about or f"exit code {done.returncode}")


def _late(within_s: float) -> Trouble:
    do = f"unlock it first: it may wait for a password; {SYSTEMD}"
    return Trouble("an answer of the system keyring", f"none in {within_s:g} s", do)


def _trouble(how: str, about: str) -> Trouble:
    match how:
        case "no package":
            return Trouble("the package keyring", "none", f"install it: {install_line('keyring')}")
        case "no backend":
            return Trouble("a system keyring", "no backend of the package keyring that works here", SYSTEMD)
        case "locked":
            return Trouble("a system keyring that is unlocked", "a locked one", f"unlock it; {SYSTEMD}")
    do = f"look at `python -m keyring diagnose`; {SYSTEMD}"
    return Trouble("an answer of the system keyring", f"a failure ({about})", do)
