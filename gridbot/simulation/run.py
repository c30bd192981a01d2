"""One seed, from its plan to what was found: trouble for a while, then rest, then the checks."""

from __future__ import annotations

import asyncio
import contextlib
import decimal
import logging
import warnings
from collections.abc import Collection, Iterator
from pathlib import Path

from gridbot.simulation.forbidden import forbid
from gridbot.simulation.happenings import ENDINGS, HAPPENINGS
from gridbot.simulation.own_directory import own_directory
from gridbot.simulation.run_checks import Finding
from gridbot.simulation.run_faults import Fault, Plan
from gridbot.simulation.stage import Result, Stage
from gridbot.simulation.step_checks import checked
from gridbot.simulation.tape import taped
from gridbot.simulation.trace import Trace
from gridbot.simulation.verdict import Verdict
from gridbot.simulation.virtual_loop import Stuck
from gridbot.simulation.way_checks import one_way
from gridbot.simulation.worker_life import ended
from gridbot.worker import strategy_runner

__all__ = ["Run", "run_plan"]

CALM_STEP_S = 1.0
CALM_MOST_S = 900.0
STOP_MOST_S = 40.0


class Run:
    """One run on its stage. It ends early when one of the invariants `until` is found broken."""

    def __init__(self, plan: Plan, directory: Path, trace: Trace, until: Collection[str] = ()) -> None:
        self.plan = plan
        self.until = until
        self.stage = Stage(plan, directory, trace)
        self.verdict = Verdict(self.stage)
        self.stage.judge = self.verdict

    # ------------------------------------------------------------------ the run

    async def main(self) -> None:
        """Trouble, rest, checks, stop, the last checks."""
        self.stage.begin_life()
        for fault in self.plan.faults:
            self.stage.loop.call_later(fault.at_s, self._happen, fault)
        end_s = self.stage.loop.now_s + self.plan.length_s
        while self.stage.loop.now_s < end_s and not self._has_enough():
            await asyncio.sleep(min(self.stage.walk.step_s(), max(0.001, end_s - self.stage.loop.now_s)))
            for symbol in self.stage.moving:
                self.stage.venue.move(symbol, self.stage.walk.next(symbol))
            self.verdict.watch()
        self.stage.loop.fuse = 0
        if not self._has_enough():
            await self._come_to_rest()
        if self._has_enough():
            return
        self.verdict.at_rest()
        await self._stop()
        self.verdict.agreement.at_the_end()

    def _has_enough(self) -> bool:
        """Whether what was looked for is found, so that the rest of the run would tell nothing."""
        return any(each.invariant in self.until and not each.is_error for each in self.verdict.findings)

    def _happen(self, fault: Fault) -> None:
        self.stage.trace.note(str(fault))
        act, end = HAPPENINGS.get(fault.kind), ENDINGS.get(fault.kind)
        if act is not None and act(self.stage, fault):
            self.stage.network.strike(fault)
            if end is not None:
                self.stage.loop.call_later(fault.for_s, self._end, fault)

    def _end(self, fault: Fault) -> None:
        self.stage.trace.note(f"#{fault.number} {fault.kind} ends")
        if not ENDINGS[fault.kind](self.stage, fault):
            return
        self.stage.network.trouble_s = self.stage.loop.now_s

    async def _come_to_rest(self) -> None:
        """Nothing goes wrong any more and the price trembles, until the worker has twice compared with the exchange.

        That counts from when its private stream is back, as what it sends before is confirmed by a later comparison.
        And until it has read the exchange's log to its end: what some streams leave out, only the log says.
        """
        start_s, passes, last_s, up = self.stage.loop.now_s, 0, 0.0, False
        self.stage.trace.note("rest")
        while True:
            await asyncio.sleep(CALM_STEP_S)
            self.verdict.watch()
            if self._has_enough():
                return
            if passes >= 2 and self._is_quiet():
                if self.verdict.agreement.money_is_checked():
                    return
                self._ask_for_money()
            if self.stage.loop.now_s - start_s > CALM_MOST_S:
                self.verdict.find("standstill-is-told", f"no rest within {CALM_MOST_S:.0f} s: {self._state()}")
                return
            up = not up
            for symbol in self.stage.moving:
                self.stage.venue.move(symbol, self.stage.walk.price(symbol, 0.00001 if up else -0.00001))
            orchestrator = self.stage.life.orchestrator if self.stage.life is not None else None
            if orchestrator is None or self.stage.loop.now_s - start_s < 6.0:
                continue
            if not orchestrator.streams.private_alive:
                passes = 0
            done_s = orchestrator.reconciler.last_s or 0.0
            if done_s > last_s and done_s > start_s + 6.0:
                passes += last_s > 0
                last_s = done_s
            last_s = max(last_s, start_s)
            if passes < 2:
                self.stage.command("reconcile", {})

    def _ask_for_money(self) -> None:
        """Have the worker compare its money now, where all else is done: it does so each five minutes, and a third of
        the runs would be nothing but that wait. One seed in eight waits."""
        life = self.stage.life
        if self.plan.seed % 8 and life is not None and life.orchestrator is not None:
            life.context.run(life.orchestrator.context.requests.check_money)

    def _is_quiet(self) -> bool:
        life = self.stage.life
        if life is None or not life.is_quiet or self.stage.wires.under_way:
            return False
        orchestrator = life.orchestrator
        if orchestrator is None:
            return True
        checks_money = orchestrator.context.requests.wishes.money or "money" in orchestrator._jobs.running
        return not (checks_money or orchestrator.reconciler.open_questions)

    def _state(self) -> str:
        life = self.stage.life
        if life is None or life.orchestrator is None:
            return "no worker trades"
        context = life.orchestrator.context
        return (
            f"requests idle {context.executor.idle}, retries {len(context.retry)}, "
            f"frames {self.stage.wires.under_way}, "
            f"open questions {life.orchestrator.reconciler.open_questions}"
        )

    async def _stop(self) -> None:
        self.stage.is_stopping = True
        life = self.stage.life
        if life is None:
            return
        life.context.run(life.session.stop)
        if not await ended(life, STOP_MOST_S, self.stage.clock):
            self.verdict.find("bounded", f"the worker did not stop within {STOP_MOST_S:.0f} s")
        await asyncio.sleep(1.0)  # `Stage` looks for tasks that are left


def run_plan(plan: Plan, *, trace: Trace | None = None, until: Collection[str] = ()) -> Result:
    """Run a plan in a directory of its own, with the rounding that a process begins with.

    With `until` only until one of these invariants is found broken.
    """
    trace = trace or Trace(on=False)
    with own_directory() as directory:
        with decimal.localcontext(decimal.Context()):  # later lives begin in the context in which the stage was made
            run = Run(plan, directory, trace, until)
        with (
            warnings.catch_warnings(),
            decimal.localcontext(decimal.Context()),
            _quiet_logs(run),
            forbid(run.stage.clock) as used,
            taped(run.verdict.agreement.tapes),
            checked(run.verdict.find),
            one_way(run.verdict.find),
        ):
            # Answers that nobody waits for any more, when a worker dies or stops.
            warnings.filterwarnings("ignore", message="coroutine .* was never awaited")
            try:
                run.stage.loop.run(run.main())
            except Stuck as stuck:
                run.verdict.find("bounded", str(stuck))
            finally:
                run.stage.loop.bury()
        result = run.stage.result
        result.findings += run.verdict.findings
        result.findings += [Finding("bounded", f"a simulated run used {what}") for what in dict.fromkeys(used)]
        result.findings += [Finding("bounded", text, is_error=True) for text in dict.fromkeys(run.stage.loop.failures)]
        result.simulated_s = run.stage.network.at_s()
        result.steps = run.stage.loop.steps
        result.counts.update({f"fault {kind}": count for kind, count in run.stage.network.struck.items()})
        return result


@contextlib.contextmanager
def _quiet_logs(run: Run) -> Iterator[None]:
    """Only what the trace wants, and errors with a traceback, which nobody may swallow."""
    handler = _Watching(run)
    root = logging.getLogger()
    level, handlers, disabled = root.level, root.handlers[:], logging.root.manager.disable
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO if run.stage.trace.on else logging.ERROR)
    fills = logging.getLogger(strategy_runner.__name__)
    fills.setLevel(logging.DEBUG)  # each of them
    logging.disable(logging.NOTSET if run.stage.trace.on else logging.WARNING)
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        fills.setLevel(logging.NOTSET)
        logging.disable(disabled)


class _Watching(logging.Handler):
    def __init__(self, run: Run) -> None:
        super().__init__()
        self._run = run

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        self._run.stage.trace.note(f"{record.levelname.lower()} {record.name.rpartition('.')[2]}: {text}")
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            self._run.verdict.find("bounded", f"swallowed: {text}: {type(error).__name__}: {error}", is_error=True)
