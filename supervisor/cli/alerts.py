"""`gridbot-supervisor alerts`: what is open, what was told, and what an operator says of it (ack, mute, unmute)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import click

from gridbot.commands.command import Command
from gridbot.commands.command_table import ACK, MUTE, UNMUTE
from gridbot.commands.targets import Addressed, TargetWords, fleet_of
from gridbot.config.paths import data_directory
from gridbot.doors.plain_text import for_people, one_line
from supervisor.cli.declared_options import argument_options, declared_command
from supervisor.cli.options import example, place_options
from supervisor.cli.patient_client import PatientClient
from supervisor.cli.record_commands import lines_option, reading_of, reading_options
from supervisor.cli.record_output import Row, print_rows
from supervisor.cli.target_options import addressed, target_words
from supervisor.control.control_client import AFAR_S
from supervisor.status.other_version import version_note
from supervisor.status.selection import select
from supervisor.status.undelivered_text import undelivered_lines
from supervisor.status.whole_fleet import whole_fleet
from supervisor.store import record_questions

__all__ = ["alerts"]

LIST: Final = "list"
WHOLE: Final = 2000
"""Characters of an alert: what there is to do stands at its end, and `status` cuts it sooner."""


class ListFirst(click.Group):
    """A group whose first word may also be what its command `list` takes: `alerts alice` is `alerts list alice`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = [LIST, *args]
        return super().parse_args(ctx, args)


@click.group(cls=ListFirst, epilog=example("alerts alice"))
def alerts() -> None:
    """Show open alerts; acknowledge one, or show a kind of them no more for a while."""


@alerts.command(LIST, epilog=example("alerts list alice --from 24h"))
@reading_options()
@click.option("--history", is_flag=True, help="What was told, also of alerts that are over; --from and --to mean that.")
@click.option("--muted", is_flag=True, help="Also those that are muted.")
@lines_option(50)
def show(
    config: str | None,
    data_dir: str | None,
    targets: Sequence[str],
    groups: Sequence[str],
    everything: bool,
    of_fleet: bool,
    since: datetime | None,
    until: datetime | None,
    style: str | None,
    wait_s: float,
    history: bool,
    muted: bool,
    lines: int,
) -> None:
    """Open alerts, of all hosts of a fleet, or with --history what was told, from the records."""
    place, written = data_directory(data_dir, config), target_words(targets, groups, everything)
    if history or since is not None or until is not None:
        reading = reading_of(config, data_dir, wait_s, "alerts", of_fleet=of_fleet)
        [rows] = reading.ask(record_questions.alerts(reading.asked(written, since, until), lines))
        print_rows(rows, style or "table", empty="no alert was told in that span", in_time=True)
        return
    with PatientClient(place) as client:
        status = whole_fleet(client.status())
    if other := version_note(status):
        click.echo(f"! {other}", err=True)
    found = [row for row in _open(status, written) if muted or not row["muted_until"]]
    empty = "which alerts are open is not told" if "incidents" in status.get("untold", ()) else "no alert is open"
    print_rows(found[-lines:] if lines else [], style or "table", empty=empty, in_time=True)
    if style is None:
        for line in undelivered_lines(status):
            click.echo(line, err=True)


def _open(status: dict[str, Any], written: TargetWords) -> list[Row]:
    chosen: tuple[Addressed, ...] | None = None
    if not (written.are_none or written.everything):
        chosen = addressed(written, fleet_of(status))
    rows = for_people(select(status, chosen)["incidents"], WHOLE)
    of_fleet = bool(status.get("fleet"))
    return [_row(row, of_fleet) for row in sorted(rows, key=lambda row: (bool(row["acked"]), row["since"]))]


def _row(row: Row, of_fleet: bool) -> Row:
    acked = row["acked"]
    return {
        "id": row["id"],
        "level": row["level"],
        "account": row["account"],
        "about": row["strategy"] or row["child"],
        **({"host": row.get("host", "")} if of_fleet else {}),
        "key": row["key"],
        "since": row["since"],
        "count": row["count"],
        "acknowledged": f"{acked['by']} {acked['at']}" if acked else None,
        "muted_until": row["muted_until"],
        "text": row["text"],
    }


def _declared(command: Command) -> click.Command:
    @declared_command(command)
    @place_options("Data directory of the running supervisor.")
    @argument_options(command)
    def send(config: str | None, data_dir: str | None, **args: Any) -> None:
        given = {name: value for name, value in args.items() if value is not None}
        with PatientClient(data_directory(data_dir, config), timeout=AFAR_S) as client:
            answer = client.request(command.name, **given)
        click.echo(one_line(str(answer.get("result")), 2000))

    return send


for each in (ACK, MUTE, UNMUTE):
    alerts.add_command(_declared(each))
