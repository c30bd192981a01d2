"""A campaign of many seeds: every seed has its outcome, however many processes it takes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from benchmarks import simulate
from gridbot.simulation import campaign
from gridbot.simulation.campaign import Outcome, Summary, run_seeds
from gridbot.simulation.own_directory import MEMORY
from gridbot.simulation.run_checks import Finding
from gridbot.simulation.run_faults import Plan
from tests.examples import examples

ROOT = Path(__file__).resolve().parents[2]


REPLACED = """
import threading, time
from gridbot.simulation import campaign
campaign.ROUND_PER_JOB = 1
print(*(f"{each.seed} {each.simulated_s > 6.0}" for each in campaign.run_seeds(range(1, 4), 0.1, jobs=2)), sep="\\n")
"""
BESIDE_A_THREAD = """
threading.Thread(target=time.sleep, args=(99,), daemon=True).start()
print(*(f"{each.seed} {each.simulated_s > 6.0}" for each in campaign.run_seeds([4], 0.1, jobs=2)), sep="\\n")
"""


def test_processes_are_replaced_and_every_seed_comes() -> None:
    """With `max_tasks_per_child` no process came after the last of the first ones: 1,000 seeds stood still at 400.

    They are copies of their parent, or beside a thread of it a process of its own, which is tried by `--long`.
    """
    program, seeds = (REPLACED + BESIDE_A_THREAD, range(1, 5)) if examples(1) > 1 else (REPLACED, range(1, 4))
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert sorted(done.stdout.splitlines()) == [f"{seed} True" for seed in seeds], done


def test_a_campaign_that_is_killed_leaves_no_process_behind() -> None:
    """Its processes waited for more seeds for ever."""
    text = "from gridbot.simulation.campaign import run_seeds\nfor _ in run_seeds(range(999), 0.02, jobs=2): print(1)"
    with subprocess.Popen([sys.executable, "-uc", text], cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        left = psutil.Process(process.pid).children(recursive=True)
        process.kill()
    assert left
    assert psutil.wait_procs(left, timeout=60)[1] == []


def test_a_campaign_that_is_ended_with_all_its_processes_ends_after_their_runs() -> None:
    """As Ctrl-C and `timeout` do: it printed its sums, and then ran what was left of its seeds."""
    given = ["--seeds", "999", "--minutes", "0.01", "--jobs", "2"]
    text = f"from benchmarks import simulate\nsimulate.TOLD_EACH = 2\nraise SystemExit(simulate.main({given}))"
    with subprocess.Popen(
        [sys.executable, "-c", text], cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        left = psutil.Process(process.pid).children(recursive=True)
        for _ in range(2):
            os.killpg(process.pid, signal.SIGTERM)
        said, _ = process.communicate(timeout=60)
    assert "it was ended early; to go on: --first " in said
    assert psutil.wait_procs(left, timeout=60)[1] == []
    names = [path.name for path in MEMORY.glob("gridbot-sim-*")]
    assert [name for name in names if any(f"-{child.pid:010}-" in name for child in left)] == []


def test_a_run_that_breaks_itself_is_a_finding_of_its_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(plan: Plan, **_: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(campaign, "run_plan", broken)
    [outcome] = run_seeds([7], 0.1)
    assert outcome.seed == 7
    assert outcome.findings == [
        Finding("bounded", "the run itself ended by ZeroDivisionError: division by zero", is_error=True)
    ]


def test_a_summary_adds_up_and_names_the_seeds_that_found_something() -> None:
    summary = Summary()
    summary.add(Outcome(1, 120.0, 0.5, Counter({"fills": 3, "deaths": 1}), []))
    summary.add(Outcome(2, 180.0, 0.5, Counter({"fills": 4}), [Finding("money", "off by 1")]))
    assert (summary.seeds, summary.speed) == (2, 300.0)
    assert summary.counts == {"fills": 7, "deaths": 1}
    assert summary.failed == {2: [Finding("money", "off by 1")]}


def test_a_campaign_that_is_ended_early_says_what_it_did_and_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As over night: a signal, and all that had been counted was gone."""

    def ended(seeds: range, *_: object, **__: object) -> Iterator[Outcome]:
        for seed in (7, 9, 8):
            yield Outcome(seed, 60.0, 0.5, Counter(), [Finding("money", "off by 1")] if seed == 9 else [])
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(simulate, "run_seeds", ended)
    before = {ends: signal.getsignal(ends) for ends in simulate.ENDS}
    try:
        assert simulate.main(["--seeds", "5", "--first", "7"]) == 1
    finally:
        for ends, handler in before.items():
            signal.signal(ends, handler)
    said = capsys.readouterr().out
    assert said.startswith("seed 9: 1 found; the first: money")
    assert "3 seeds, 180 s simulated" in said
    assert "it was ended early; to go on: --first 10 --seeds 2" in said


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--seeds", "0"], "--seeds: expected a whole number from 1 on, got '0'"),
        (["--jobs", "-1"], "--jobs: expected a whole number from 1 on, got '-1'"),
        (["--minutes", "nan"], "--minutes: expected minutes above 0 and up to 10080, got 'nan'"),
        (["--minutes", "0"], "--minutes: expected minutes above 0"),
        (["--minutes", "x"], "--minutes: expected minutes above 0"),
        (["--shrink"], "--shrink makes the plan of one seed smaller: expected --seed as well"),
    ],
)
def test_arguments_that_would_run_nothing_or_something_else_are_refused(
    given: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """No seeds were "0 seeds found something", exit code 0; a plan of NaN minutes a traceback; --shrink was ignored."""
    with pytest.raises(SystemExit) as ended:
        simulate.main(given)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_a_seed_that_is_ended_early_says_so_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(simulate, "run_plan", lambda *_, **__: signal.raise_signal(signal.SIGINT))
    assert simulate.main(["--seed", "3", "--minutes", "0.1"]) == 130
    assert capsys.readouterr().err == "ended early: nothing is known of this seed\n"
