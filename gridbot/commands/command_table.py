"""The table of operator commands. Each is declared here and nowhere else.

A worker's handlers are in `gridbot.worker.commands`, the supervisor's in `supervisor.control.operations`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gridbot.commands.command import Command, Target
from gridbot.commands.wording import CommandMistake, did_you_mean, one_of, shown

__all__ = [
    "ACK",
    "ADOPT",
    "COMMANDS",
    "FLEET_COMMANDS",
    "MUTE",
    "RELOAD",
    "RESTART",
    "STOP",
    "UNMUTE",
    "WORKER_COMMANDS",
    "find_command",
]

FLATTEN_S: Final = 75.0
"""Whoever asked is told after a minute what remains; it goes on. The rest is for the way of the answer."""

ADOPT_S: Final = 60.0
"""For a listing of the exchange and a comparison with it."""

PAUSE: Final = Command(
    name="pause",
    target=Target.STRATEGY,
    arguments="PauseArguments",
    summary="Send no new orders for accounts or strategies.",
    help="Send no new order for accounts, or for some of their strategies, until `resume`.",
    example="pause alice/alice-btc bob --cancel",
    needs_trading=True,
    takes_s=FLATTEN_S,
    kept=True,
)
REDUCE: Final = Command(
    name="reduce",
    target=Target.STRATEGY,
    arguments="ReduceArguments",
    summary="Let accounts or strategies only close.",
    help="Open nothing more: what rests to open is withdrawn, closes go on, until `resume`.",
    example="reduce alice/alice-btc bob",
    needs_trading=True,
    takes_s=FLATTEN_S,
    kept=True,
)
CANCEL: Final = Command(
    name="cancel",
    target=Target.STRATEGY,
    arguments="CancelArguments",
    summary="Withdraw all resting orders, confirmed by the exchange.",
    help="Withdraw all resting orders, again and again until the exchange lists none, and pause, so that they are not "
    "placed anew.",
    example="cancel '*/btc-*' --leave-running",
    needs_trading=True,
    takes_s=FLATTEN_S,
    rescued=True,
)
FLATTEN: Final = Command(
    name="flatten",
    target=Target.STRATEGY,
    arguments="FlattenArguments",
    summary="Cancel everything and close all positions.",
    help="Pause, cancel all orders, close every leg (reduce-only: at a limit first, then at the market), confirm it by "
    "the exchange's lists, and say what remains and why. `resume` lets it trade again.",
    example="flatten --group night --expect 5",
    needs_trading=True,
    dangerous=True,
    takes_s=FLATTEN_S,
    rescued=True,
)
KILL: Final = Command(
    name="kill",
    target=Target.STRATEGY,
    arguments="FlattenArguments",
    summary="Flatten, and stay latched.",
    help="Flatten, and let nothing of any strategy pass afterwards, also of one that is added later, until `resume` of "
    "the whole account.",
    example="kill alice",
    needs_trading=True,
    dangerous=True,
    takes_s=FLATTEN_S,
    rescued=True,
)
RESUME: Final = Command(
    name="resume",
    target=Target.STRATEGY,
    arguments="ResumeArguments",
    summary="Let paused, reducing, halted or latched accounts trade again.",
    help="Let paused, reducing, halted or latched accounts or strategies trade again. The loss of a session counts "
    "from here. The latches of an account are lifted when it is named as a whole.",
    example="resume --group night --expect 5",
    needs_trading=True,
    dangerous=True,
)
RECONCILE: Final = Command(
    name="reconcile",
    target=Target.ACCOUNT,
    arguments="NoArguments",
    summary="Compare accounts' orders and positions with the exchange.",
    help="Compare open orders, executions and positions of accounts with the exchange now, not at the next interval.",
    example="reconcile --all",
    needs_trading=True,
)
CORRECT: Final = Command(
    name="correct",
    target=Target.ACCOUNT,
    arguments="CorrectArguments",
    summary="Correct recorded money and orders (see ledger check --repair).",
    help="Correct what is recorded of executions to the exchange's figures, and ask the exchange what became of orders "
    "that are recorded as open and do not rest. `ledger check --exchange --repair` works both out and gives this "
    "command.",
    example="correct alice --as-of 8100 --figures []",
    needs_trading=True,
    one_at_a_time=True,
    dangerous=True,
)
ADOPT: Final = Command(
    name="adopt",
    target=Target.STRATEGY,
    arguments="AdoptArguments",
    summary="Take over orders of another program, by shape.",
    help="Compare the orders of other programs that rest on the symbols of strategies with what these want, by symbol, "
    "side, price, quantity, reduceOnly and positionIdx, and show which fit, which nearly, and why not. Nothing is "
    "changed without --apply, which needs paused strategies.",
    example="adopt alice/alice-btc --ladder --apply",
    needs_trading=True,
    dangerous=True,
    takes_s=ADOPT_S,
)
STOP: Final = Command(
    name="stop",
    target=Target.FLEET,
    arguments="StopArguments",
    summary="Stop everything in order and wait for it.",
    help="Stop the supervisor and wait until all its processes have ended.",
    example="stop --orders cancel",
    dangerous=True,
)
RELOAD: Final = Command(
    name="reload",
    target=Target.FLEET,
    arguments="ReloadArguments",
    summary="Put the changed configuration file in force.",
    help="Read the configuration file again, print what differs and what it does to orders and accounts, and apply it: "
    "strategies change, come and go without a restart of the others. When something is wrong with it, nothing changes. "
    "Orders of what is removed are cancelled. SIGHUP does the same without a question.",
    example="reload --dry-run",
    dangerous=True,
)
RESTART: Final = Command(
    name="restart",
    target=Target.FLEET,
    arguments="RestartArguments",
    summary="Restart processes in order.",
    help="Restart processes in order: workers by their accounts, the writer, or paper. Also revives a FATAL one. "
    "Patterns, --group and --all mean workers.",
    example="restart alice writer",
)

ACK: Final = Command(
    name="ack",
    below="alerts",
    target=Target.FLEET,
    arguments="AckArguments",
    summary="Say that somebody looks after an open alert.",
    help="Say that somebody looks after an open alert, until it is over or gets worse. Status goes on to show it, with "
    "who has taken it; health stays what it is.",
    example="alerts ack k3x9aq",
)
MUTE: Final = Command(
    name="mute",
    below="alerts",
    target=Target.FLEET,
    arguments="MuteArguments",
    summary="Show alerts of one kind no more for a while.",
    help="Show an open alert (by its id), or all alerts of a key such as stale_price, no more for a while: status "
    "counts them, health stays what it is, and they are recorded as ever. It ends by itself.",
    example="alerts mute stale_price --account alice --for 1h",
)
UNMUTE: Final = Command(
    name="unmute",
    below="alerts",
    target=Target.FLEET,
    arguments="UnmuteArguments",
    summary="Show muted alerts again.",
    help="Show again what was muted, by the same id or key, and take back who had acknowledged it.",
    example="alerts unmute stale_price",
)

COMMANDS: Final = (
    *(PAUSE, REDUCE, CANCEL, FLATTEN, KILL, RESUME, RECONCILE, CORRECT, ADOPT),
    *(STOP, RELOAD, RESTART, ACK, MUTE, UNMUTE),
)
WORKER_COMMANDS: Final = tuple(command for command in COMMANDS if command.for_worker)
FLEET_COMMANDS: Final = tuple(command for command in COMMANDS if not command.for_worker)


def find_command(name: object, among: Sequence[Command] = COMMANDS) -> Command:
    """The command of this name. Raises CommandMistake, which names those there are."""
    for command in among:
        if command.name == name:
            return command
    names = [command.name for command in among]
    raise CommandMistake(f"expected {one_of(names)}, got {shown(name)}{did_you_mean(name, names)}")
