"""`gridbot-supervisor notify`: messages about alerts; `notify test` sends one, with a supervisor and without."""

from __future__ import annotations

import click

from gridbot.commands.wording import did_you_mean, one_of
from gridbot.config.paths import find_config
from gridbot.doors.plain_text import one_line
from supervisor.cli.options import example, load_or_refuse, place_options
from supervisor.cli.plain_output import print_lines
from supervisor.exit_codes import CommandError, ExitCode
from supervisor.notify.apprise_door import NoApprise
from supervisor.notify.notify_entry import notify_spec
from supervisor.notify.trial_messages import sent_to_each

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
    try:
        chosen = {name for each in spec.plan.routes if route in (None, each.name) for name in each.lines}
        results = sent_to_each(spec, chosen)
    except NoApprise as error:
        raise CommandError(str(error), ExitCode.USAGE) from None
    print_lines([f"{name}: {problem or 'delivered'}" for name, problem in results.items()])
    raise SystemExit(ExitCode.REFUSED if any(results.values()) else ExitCode.OK)
