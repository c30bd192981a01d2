"""`gridbot-supervisor metrics`: what `/metrics` answers, on standard output; for those who scrape files."""

from __future__ import annotations

import click

from gridbot.config.paths import data_directory
from supervisor.cli.options import Seconds, example, place_options
from supervisor.cli.patient_client import PatientClient
from supervisor.control.control_client import NotRunning, Unanswered
from supervisor.metrics.metric_text import exposition

__all__ = ["metrics"]


@click.command(epilog=example("metrics"))
@place_options()
@click.option("--timeout", type=Seconds(), default=5.0, show_default=True, help="Seconds to wait for the answer.")
def metrics(config: str | None, data_dir: str | None, timeout: float) -> None:
    """Print the metrics of now as Prometheus reads them; docs/metrics.md lists them.

    Without a supervisor that answers it prints `gridbot_up 0`, and its exit code is 3 or 5.
    """
    try:
        with PatientClient(data_directory(data_dir, config), timeout=timeout) as client:
            model = client.status()
    except (NotRunning, Unanswered):
        click.echo(exposition(None).decode(), nl=False)
        raise
    click.echo(exposition(model).decode(), nl=False)
