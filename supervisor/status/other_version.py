"""A supervisor of another version than the program that asks it: how its answers are read, and what is said about it.

After an upgrade a command may meet a supervisor that was started before it. The one door through which its status comes
is `as_ours`: what the other version does not tell is there, and empty. What is wrong is said in one sentence, with the
commands that end it: beside what is shown (`version_note`), and behind what the other version has refused
(`supervisor.control.control_client`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Final

from gridbot.command_line import pasteable
from gridbot.version import __version__
from supervisor.status.program_revision import REVISION

__all__ = ["as_ours", "is_other", "sentence", "version_note"]

Json = dict[str, Any]

UNTOLD: Final = "an earlier revision"
"""What a supervisor is called that says none: they do so since 2026-11-30."""


def is_other(about: Mapping[str, Any]) -> bool:
    """Whether another version than ours has said this of itself: the answer to `ping`, or `supervisor` of a status."""
    theirs = about.get("revision")
    return about.get("version") != __version__ or theirs is None or bool(theirs and REVISION and theirs != REVISION)


def sentence(about: Mapping[str, Any], command: str = "") -> str:
    """Which version runs, and since when, which this one is, and what makes it this one.

    From `supervisor` of a status, with its `time`, or what there is of it. `command` is what the other one has refused:
    some need no supervisor.
    """
    revision, place = about.get("revision"), about.get("data_dir")
    runs = f"gridbot {about.get('version', '')} of {f'revision {revision}' if revision else UNTOLD}"
    ours = f"gridbot {__version__}{f' of revision {REVISION}' if REVISION else ''}"
    config = about.get("config") or None
    ends, begins = pasteable("stop", data_dir=place), pasteable("start --detach", config=config, data_dir=place)
    direct = pasteable(f"{command} --direct", config=config, data_dir=place)
    between = f"; between the two `{direct}` with the same targets needs none" if _is_direct(command) else ""
    return (
        f"The supervisor that runs is another version: {runs}{_since(about)}; this program is {ours}. "
        f"`{ends}`, then `{begins}` starts this one{between}"
    )


def version_note(status: Mapping[str, Any]) -> str:
    """`sentence` for what `as_ours` has found to be of another version, with what it does not tell; empty for ours."""
    if "untold" not in status:
        return ""
    told = sentence({**status["supervisor"], "time": status.get("time")})
    return told + (f". It does not tell of {', '.join(status['untold'])}" if status["untold"] else "")


def _since(about: Mapping[str, Any]) -> str:
    try:
        began = datetime.fromisoformat(str(about.get("time"))) - timedelta(seconds=float(about["uptime_s"]))
    except (KeyError, TypeError, ValueError, OverflowError):
        return ""
    return f", running since {began:%Y-%m-%d %H:%M} UTC"


def _is_direct(name: str) -> bool:
    from gridbot.commands.command_table import WORKER_COMMANDS  # not earlier: `ping` is quick

    return any(each.name == name and each.rescued for each in WORKER_COMMANDS)


def as_ours(status: Json) -> Json:
    """A status with all that this version reads: of what another one does not tell, None, or nothing in a list.

    `untold` then has the parts that are missing as a whole, be it none. A status of this version is returned as it is.
    """
    supervisor = status.get("supervisor")
    if not isinstance(supervisor, dict) or not is_other(supervisor):
        return status
    full: Json = _completed(status, _shape())
    return {**full, "untold": [name for name in _shape() if name not in status]}


def _completed(told: Any, shape: Any) -> Any:
    """What was told, with the keys of `shape` that are missing, also in rows of lists."""
    if isinstance(told, dict) and isinstance(shape, dict):
        known = {key: _completed(value, shape[key]) if key in shape else value for key, value in told.items()}
        return {**{key: _nothing(value) for key, value in shape.items() if key not in told}, **known}
    if isinstance(told, list) and isinstance(shape, list) and shape:
        return [_completed(row, shape[0]) for row in told]
    return told


def _nothing(value: Any) -> Any:
    """Of rows no row, of figures by name none; of a part with a form of its own, of a figure or a text, None."""
    if isinstance(value, list):
        return []
    return {} if value == {} else None


@cache
def _shape() -> Json:
    """A status as this version makes it, with one row of each kind. It is made by the model itself, so that it has
    whatever that adds."""
    from supervisor.children.policy_types import ChildState  # not earlier: whoever meets its own version needs none
    from supervisor.status.model import ChildFacts, SupervisorFacts, build_status

    child = ChildFacts("", ChildState(), None, {}, strategies=[{"strat_id": ""}])
    alert = {"where": "", "key": "", "level": "error", "began_us": 0, "count": 1, "text": ""}
    own = SupervisorFacts(0, "", "", 0.0, "", "", "", 0, "", incidents=[alert])
    return build_status(0.0, own, [child], child, child, paper_url=None, web=child, notify=child, telegram=child)
