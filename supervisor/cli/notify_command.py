"""`gridbot-supervisor notify`: messages about alerts; `notify test` sends one, with a supervisor and without."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

import click

from gridbot.commands.wording import did_you_mean, one_of
from gridbot.config.paths import find_config
from gridbot.doors.plain_text import one_line
from supervisor.cli.options import example, load_or_refuse, place_options
from supervisor.cli.plain_output import print_lines
from supervisor.exit_codes import CommandError, ExitCode
from supervisor.notify.apprise_door import AppriseDoor, NoApprise
from supervisor.notify.message_text import Message
from supervisor.notify.notify_entry import notify_spec
from supervisor.notify.notify_spec import NotifySpec

__all__ = ["notify"]


@click.group(epilog=example("notify test"))
def notify() -> None:
    """Messages about alerts (section notify of the configuration)."""


@notify.command("test", epilog=example("notify test phone"))
@place_options()
@click.argument("route", required=False)
def send_test(config: str | None, data_dir: str | None, route: str | None) -> None:
    """Send a message to each address of ROUTE, or of all routes, and say what became of it.

    It needs no supervisor, and says nothing to one. Exit code 7 when a message did not arrive.
    """
    settings = load_or_refuse(find_config(config), data_dir)
    spec = notify_spec(settings)
    names = [each.name for each in spec.plan.routes]
    if not names:
        raise CommandError(
            f"expected notify.routes in {find_config(config)}, got none; write whom to tell of alerts: docs/alerts.md",
            ExitCode.REFUSED,
        )
    if route is not None and route not in names:
        wanted = f"expected {one_of(names)}, got {one_line(route)!r}{did_you_mean(route, names)}"
        raise click.UsageError(wanted)
    results = _sent(spec, {name for each in spec.plan.routes if route in (None, each.name) for name in each.lines})
    print_lines([f"{name}: {problem or 'delivered'}" for name, problem in results.items()])
    raise SystemExit(ExitCode.REFUSED if any(results.values()) else ExitCode.OK)


def _sent(spec: NotifySpec, names: set[str]) -> Mapping[str, str]:
    """Of each address why the message did not arrive, "" when it did; all at once, each within its deadline."""
    try:
        door = AppriseDoor({name: address for name, address in spec.addresses.items() if name in names})
    except NoApprise as error:
        raise CommandError(str(error), ExitCode.USAGE) from None
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
