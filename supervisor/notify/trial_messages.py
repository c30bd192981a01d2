"""A message to each address by itself, to see whether it arrives: `notify test`, and `doctor --reach`."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection

from supervisor.notify.apprise_door import AppriseDoor
from supervisor.notify.message_text import Message
from supervisor.notify.notify_spec import NotifySpec

__all__ = ["sent_to_each"]


def sent_to_each(spec: NotifySpec, names: Collection[str]) -> dict[str, str]:
    """Of each address why the message did not arrive, "" when it did; all at once, each within its deadline.

    Raises NoApprise.
    """
    door = AppriseDoor({name: address for name, address in spec.addresses.items() if name in names})
    late = f"the service did not answer in {spec.deadline_s:g} s"
    results = {name: late for name in spec.plan.line_names if name in names}

    def send(name: str) -> None:
        text = f"A test of the route {name}: alerts that fit it come here."
        results[name] = door.send(name, Message(f"{spec.plan.fleet}: test", text, "info"))

    threads = [threading.Thread(target=send, args=(name,), name=f"test of {name}", daemon=True) for name in results]
    for thread in threads:
        thread.start()
    end_s = time.monotonic() + spec.deadline_s
    for thread in threads:
        thread.join(max(0.0, end_s - time.monotonic()))
    return dict(results)
