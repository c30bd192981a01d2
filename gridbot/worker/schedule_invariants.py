"""What holds of every job that is started, as named functions. Pure; for tests.

Each returns what is wrong, in words, or "".
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from gridbot.worker.schedule import APART_S, Job, Wishes

__all__ = ["Start", "as_far_apart", "broken_rules", "one_of_a_name", "periods_kept", "wishes_have_reasons"]


@dataclass(frozen=True, slots=True)
class Start:
    """One job that started at `at_s`, monotonic."""

    job: Job
    at_s: float


def as_far_apart(starts: Sequence[Start]) -> str:
    """The newest start of a job comes no sooner after the one before it than its kind allows."""
    newest = starts[-1]
    before = [start.at_s for start in starts[:-1] if start.job.name == newest.job.name]
    apart_s = newest.at_s - max(before, default=float("-inf"))
    return f"{newest.job.name} again after {apart_s} s" if apart_s < APART_S[newest.job.kind] else ""


def one_of_a_name(jobs: Iterable[Job], running: Collection[str]) -> str:
    """None starts beside one of its name. `running` as before these started."""
    names = [job.name for job in jobs]
    twice = [name for name in names if name in running or names.count(name) > 1]
    return f"{twice} started twice" if twice else ""


def wishes_have_reasons(wishes: Wishes, running: Collection[str], last_s: Mapping[str, float], now_s: float) -> str:
    """After a step: a wish that has not started waits for its job to end, or for its time apart. `wishes` of all."""
    idle = [
        job.name
        for job in wishes.jobs()
        if job.name not in running and now_s - last_s.get(job.name, float("-inf")) >= APART_S[job.kind]
    ]
    return f"{idle} are wanted and nothing keeps them" if idle else ""


def periods_kept(last_s: float | None, every_s: float, now_s: float) -> str:
    """After a step: a period that is on (`every_s` above 0) began less than its length ago."""
    late = every_s > 0 and (last_s is None or now_s - last_s >= every_s)
    return f"a period of {every_s} s that began at {last_s} is not over at {now_s}" if late else ""


def broken_rules(starts: Sequence[Start], running: Collection[str]) -> list[str]:
    """What is wrong about the newest start. `running` as before it."""
    found = (as_far_apart(starts), one_of_a_name([starts[-1].job], running))
    return [text for text in found if text]
