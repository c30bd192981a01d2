"""The processes of `bin/bench latency`, as their parent hears them."""

from __future__ import annotations

import multiprocessing

import pytest

from benchmarks.parts.latency_crew import Crew
from benchmarks.parts.latency_subjects import BenchmarkError


def test_who_has_said_its_last_may_end_while_others_are_heard() -> None:
    """On a full machine the first lane had ended before the second was heard, and a run of 200 s was lost."""
    crew, ends = Crew(), {name: multiprocessing.Pipe() for name in ("first", "second", "third")}
    for name, (ours, theirs) in ends.items():
        crew._members[name] = multiprocessing.current_process(), ours
        theirs.send({"traces": name})
        theirs.close()
    assert [crew.hear_last(name, "traces") for name in ("first", "second")] == ["first", "second"]
    assert crew.hear("third", "traces") == "third"
    with pytest.raises(BenchmarkError, match="third ended before it was told to"):
        crew.hear("third", "traces")
