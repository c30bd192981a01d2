"""The process that asks the system keyring: its own file is run, so that no process of the bot imports the package.

Arguments: what to do (`get`, `set`, `remove`), the service, and the seconds that the keyring has. Standard input has
the names of entries, with `set` each followed by its value; standard output how it went, a word about it, then with
`get` the values, "" for an entry that is not there. NUL stands between all of them. It imports nothing of gridbot.

A keyring that does not answer in time, or asks for a password that nobody types, ends this process by SIGALRM.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

__all__: list[str] = []


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a backend prints is no answer
    do, service, seconds = sys.argv[1:]
    asked = sys.stdin.buffer.read().decode().split("\0")
    try:
        import keyring
    except ImportError:
        said = ["no package", ""]
    else:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
        signal.setitimer(signal.ITIMER_REAL, float(seconds))
        said = _asked(keyring, do, service, asked)
        signal.setitimer(signal.ITIMER_REAL, 0)
    answers.write("\0".join(said))
    answers.flush()


def _asked(keyring: Any, do: str, service: str, asked: list[str]) -> list[str]:
    try:
        backend = keyring.get_keyring()
        if backend.priority <= 0:  # its classes `fail` and `null`
            return ["no backend", ""]
        name = f"{type(backend).__module__}.{type(backend).__qualname__}"
        if do == "get":
            values = [backend.get_password(service, entry) or "" for entry in asked]
            return ["failed", "NUL in a value"] if "\0" in "".join(values) else ["ok", name, *values]
        if do == "set":
            for entry, value in zip(asked[::2], asked[1::2], strict=True):
                backend.set_password(service, entry, value)
        else:
            for entry in asked:
                if backend.get_password(service, entry) is not None:
                    backend.delete_password(service, entry)
        return ["ok", name]
    except keyring.errors.KeyringLocked:
        return ["locked", ""]
    except keyring.errors.NoKeyringError:
        return ["no backend", ""]
    except BaseException as error:  # noqa: BLE001 - a library of others, whose text may have the value
        return ["failed", type(error).__name__]


if __name__ == "__main__":
    main()
