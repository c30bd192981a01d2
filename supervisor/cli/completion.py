"""`gridbot-supervisor completion`: the script that makes a shell complete commands, options, accounts and groups."""

from __future__ import annotations

import click
from click.shell_completion import ShellComplete, get_completion_class

from supervisor.cli.options import example, place_options
from supervisor.exit_codes import CommandError, ExitCode

__all__ = ["completion"]

PROGRAM = "gridbot-supervisor"
VARIABLE = "_GRIDBOT_SUPERVISOR_COMPLETE"
"""As click derives it from the name of the program."""
SHELLS = ("bash", "zsh", "fish")


@click.command("completion", epilog=example("completion bash"))
@place_options()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, config: str | None, data_dir: str | None, shell: str) -> None:
    """Print the completion script of a shell.

    \b
    bash  eval "$(gridbot-supervisor completion bash)"      in ~/.bashrc
    zsh   eval "$(gridbot-supervisor completion zsh)"       in ~/.zshrc, after compinit
    fish  gridbot-supervisor completion fish | source       in ~/.config/fish/config.fish

    It completes names of the running supervisor, else those of the configuration that -c or the environment names.
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise CommandError(f"expected one of {', '.join(SHELLS)}, got {shell!r}", ExitCode.USAGE)
    made = kind(context.find_root().command, {}, PROGRAM, VARIABLE)
    click.echo(ShellComplete.source(made))  # bash's own would start bash, to say that one before 4.4 cannot do it
