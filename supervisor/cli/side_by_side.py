"""What the shell is told of a command for many targets."""

from __future__ import annotations

from collections.abc import Sequence

from supervisor.control.control_client import Denied, Failed
from supervisor.control.target_outcomes import Outcome
from supervisor.exit_codes import ExitCode

__all__ = ["exit_code"]


def exit_code(found: Sequence[Outcome]) -> ExitCode:
    """0 when all was done, 11 when a part was; when nothing was: 5 when somebody did not answer, 1 after a fault of
    ours, 7 when it was denied to somebody, else 2."""
    failed = [outcome for outcome in found if not outcome.done]
    if not failed:
        return ExitCode.OK
    if len(failed) < len(found):
        return ExitCode.PARTLY
    if any(outcome.unanswered for outcome in failed):
        return ExitCode.TIMEOUT
    if any(isinstance(outcome.failure, Failed) for outcome in failed):
        return ExitCode.UNEXPECTED
    is_denied = any(isinstance(outcome.failure, Denied) for outcome in failed)
    return ExitCode.REFUSED if is_denied else ExitCode.USAGE
