"""When a child process is started, restarted, given up or killed. Pure: time and jitter in, actions out.

                                 +---------- Restart: orderly, then at once ----------+
                                 v                                                    |
    STOPPED --Start-------> STARTING --Ready--> RUNNING --Stop, Restart, silence--> STOPPING --> STOPPED
       ^                     ^  |  |               |                                ^   |
       |                 due |  |  +-- Stop, Restart, silence ----------------------+   | after silence
       |                     |  v                  v                                    v
       +------- Stop ----- BACKOFF <------------ failure <------------------------------+
                                                   |
                              FATAL <--------------+ too many, or exit code 4
                                +--Start, Restart--> STARTING

A failure: the process ended unasked, hung (`Hung`: killed at once) or could not be launched. Silence: no report for too
long; the process is aborted (its stacks go to logs/crash.log), then killed, and its exit is a failure. Why it was
killed goes into `killed_for`, so that nobody looks for another culprit.

Slow is not hung. Of a silence that time does not count in which the process waited for a core or for the disk (`Seen`),
nor, of one that `works_in_silence`, as the writer does within a call of DuckDB, the time that it computed. A process
that is stopped, or waits for another of its threads for ever, does none of this, and is killed after the same seconds
on any machine. Nothing is excused beyond `patience`.

Rules, with the numbers of `RestartPolicy`:

* A failure waits 1 s, then 2, 4 ... 60 s, less up to a quarter of it by jitter, so that a fleet does not start in step.
  A child that ran for a minute begins again at 1 s. With `first_at_once`, as in a real fleet, the first failure in a
  row does not wait, and those after it wait 1 s, 2 s and so on.
* The sixth counted failure within ten minutes is FATAL, for that child only.
* Exit code 4 (configuration) is FATAL at once: another try would fail the same way.
* Exit code 7 (start refused) is retried for as long as it takes and never counted: the exchange may come back.
* Exit code 10, or a launch that failed for want of room (disk, memory, open files), is a wait, never counted, of 5 s at
  most: somebody will make room. One alert says that it waits.
* An orderly restart (`Restart`) is neither a failure nor counted, and starts the next process without a wait.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from supervisor.children.policy_types import (
    TRANSITIONS,
    Action,
    After,
    Alert,
    ChildState,
    Do,
    Event,
    Exited,
    Hung,
    LaunchFailed,
    ProcessState,
    Ready,
    Report,
    Restart,
    RestartPolicy,
    Seen,
    Stalled,
    Start,
    Stop,
    Wait,
)
from supervisor.exit_codes import ExitCode

__all__ = ["NOT_IN_TIME", "SLOW", "UNBORN_MOST", "is_silent", "step"]

UNBORN_MOST = 3
"""Launches in a row that are tried again at once as the fork server has died: more may be the doing of its child."""
NOT_IN_TIME = "it did not stop in time"
"""`killed_for` of a process that outlasted the deadline of its stop."""
SLOW = "slow"
"""Key of the incident that a process is silent for longer than its limit, and alive."""
QUIET_S = 2.0
"""Twice as long as between two reports: from then on its vital signs count."""


def is_silent(now: float, state: ChildState, policy: RestartPolicy) -> bool:
    """Whether it is time to look at the vital signs of the process (`Seen`)."""
    quiet = min(QUIET_S, _limit(state, policy) / 4)
    return (
        state.alive and state.process in (ProcessState.STARTING, ProcessState.RUNNING) and _silence(now, state) > quiet
    )


def step(
    now: float, state: ChildState, events: Iterable[Event], *, policy: RestartPolicy, jitter: float = 0.0
) -> tuple[ChildState, list[Action]]:
    """Apply `events` in order, then the time `now`. Call it regularly without events too, for the deadlines."""
    actions: list[Action] = []
    for event in events:
        state = _on_event(now, state, event, policy, jitter, actions)
    return _on_time(now, state, policy, actions), actions


def _enter(now: float, state: ChildState, target: ProcessState, reason: str) -> ChildState:
    if target not in TRANSITIONS[state.process]:
        raise AssertionError(f"illegal transition {state.process} -> {target} ({reason})")
    return replace(
        state, process=target, since=now, reason=reason, due=None, terminate_at=None, kill_at=None, after=After.STOP
    )


def _launch(now: float, state: ChildState, reason: str, actions: list[Action]) -> ChildState:
    actions.append(Do.LAUNCH)
    state = _heard(now, _enter(now, state, ProcessState.STARTING, reason))
    return replace(state, alive=True, killed_for="")


def _heard(now: float, state: ChildState) -> ChildState:
    return replace(state, last_report=now, seen=None, excused=0.0, slow=False)


def _saw(now: float, state: ChildState, seen: Seen, policy: RestartPolicy) -> ChildState:
    """Excuse what of the time since the last look the process could not help, or has worked."""
    excused, before, took = state.excused, state.seen, now - state.seen_at
    if before is not None:
        waited = max(0.0, seen.waited_s - before.waited_s)
        worked = max(0.0, seen.ran_s - before.ran_s) if policy.works_in_silence else 0.0
        excused += took if before.on_disk and seen.on_disk else min(took, waited + worked)
    return replace(state, seen=seen, seen_at=now, excused=excused)


def _silence(now: float, state: ChildState) -> float:
    return now - max(state.last_report, state.listening_since)


def _limit(state: ChildState, policy: RestartPolicy) -> float:
    return policy.start_timeout if state.process is ProcessState.STARTING else policy.heartbeat_timeout


def _stopping(
    now: float, state: ChildState, after: After, reason: str, policy: RestartPolicy, actions: list[Action]
) -> ChildState:
    actions.append(Do.ASK_STOP)
    state = _enter(now, state, ProcessState.STOPPING, reason)
    half = now + policy.stop_timeout / 2
    return replace(state, after=after, terminate_at=half, kill_at=now + policy.stop_timeout)


def _ran_well(now: float, state: ChildState, policy: RestartPolicy) -> bool:
    return state.process is ProcessState.RUNNING and now - state.since >= policy.healthy_after


def _failed(
    now: float,
    state: ChildState,
    code: int | None,
    text: str,
    policy: RestartPolicy,
    jitter: float,
    actions: list[Action],
) -> ChildState:
    """The process has ended although it should run: wait and try again, or give up."""
    failures = 1 if _ran_well(now, state, policy) else state.failures + 1
    recent = tuple(at for at in state.recent if now - at < policy.window)
    if code == ExitCode.NO_ROOM:
        return _wait_for_room(now, replace(state, failures=failures, recent=recent), text, policy, jitter, actions)
    if code != ExitCode.REFUSED:
        recent = (*recent, now)
    state = replace(state, alive=False, failures=failures, recent=recent, short=False)
    if code == ExitCode.CONFIG:
        actions.append(Alert("CRITICAL", f"{text}; not tried again before its configuration is changed"))
        return _enter(now, state, ProcessState.FATAL, text)
    if len(recent) > policy.max_restarts:
        limit = f"failed {len(recent)} times within {policy.window:g} s; not tried again"
        actions.append(Alert("CRITICAL", f"{text}; {limit}"))
        return _enter(now, state, ProcessState.FATAL, f"{text}; {limit}")
    wait = policy.delay(failures, jitter)
    if not state.killed_for:  # a kill of ours was told when it was decided, and counts once
        actions.append(Alert("ERROR", f"{text}; next start {f'in {wait:.1f} s' if wait else 'at once'}"))
    return replace(_enter(now, state, ProcessState.BACKOFF, text), due=now + wait)


def _wait_for_room(
    now: float, state: ChildState, text: str, policy: RestartPolicy, jitter: float, actions: list[Action]
) -> ChildState:
    """The machine has no room for it: try again until it has, and say so once."""
    if not state.short:
        actions.append(
            Alert("ERROR", f"{text}; it waits until there is room, and is tried again every few seconds", "room")
        )
    state = replace(state, alive=False, short=True)
    wait = min(policy.delay(state.failures, jitter), policy.room_wait)
    return replace(_enter(now, state, ProcessState.BACKOFF, f"waits for room: {text}"), due=now + wait)


def _on_event(
    now: float, state: ChildState, event: Event, policy: RestartPolicy, jitter: float, actions: list[Action]
) -> ChildState:
    match event:
        case Start():
            if state.process in (ProcessState.STOPPED, ProcessState.FATAL):
                return _launch(now, replace(state, failures=0, recent=()), "", actions)
        case Wait(reason=reason):
            if state.process is ProcessState.STOPPED:
                return replace(state, reason=reason)
        case Stop(force=force):
            return _on_stop(now, state, force, policy, actions)
        case Restart(reason=reason):
            return _on_restart(now, state, reason, policy, actions)
        case Ready():
            if state.process is ProcessState.STARTING and state.alive:
                return replace(_heard(now, _enter(now, state, ProcessState.RUNNING, "")), short=False, unborn=0)
        case Report():
            return _heard(now, state)
        case Stalled():
            return replace(state, listening_since=now, seen=None, excused=0.0)
        case Seen():
            return _saw(now, state, event, policy)
        case Hung(reason=reason):
            if state.process in (ProcessState.STARTING, ProcessState.RUNNING) and state.alive:
                actions += [Alert("ERROR", f"{reason}; it is killed"), Do.KILL]
                failures = 0 if _ran_well(now, state, policy) else state.failures
                state = _enter(now, state, ProcessState.STOPPING, reason)
                return replace(state, failures=failures, after=After.FAIL, killed_for=reason)
        case Exited(code=code, text=text):
            return _on_exit(now, state, code, text, policy, jitter, actions)
        case LaunchFailed(server_died=True) if state.process is ProcessState.STARTING and state.unborn < UNBORN_MOST:
            actions.append(Do.LAUNCH)
            return _heard(now, replace(state, since=now, unborn=state.unborn + 1))
        case LaunchFailed(text=text, short=short):
            if state.process is ProcessState.STARTING:
                why = ExitCode.NO_ROOM if short else None
                return _failed(now, state, why, f"could not be started: {text}", policy, jitter, actions)
            if state.process is ProcessState.STOPPING:
                return _on_exit(now, state, ExitCode.OK, f"could not be started: {text}", policy, jitter, actions)
    return state


def _on_stop(now: float, state: ChildState, force: bool, policy: RestartPolicy, actions: list[Action]) -> ChildState:
    if state.process in (ProcessState.STARTING, ProcessState.RUNNING):
        state = _stopping(now, state, After.STOP, "stop asked for", policy, actions)
    elif state.process is ProcessState.STOPPING:
        state = replace(state, after=After.STOP)
    elif state.process is ProcessState.BACKOFF:
        state = _enter(now, state, ProcessState.STOPPED, "stop asked for")
    if force and state.alive:
        actions.append(Do.KILL)
        killed_for = state.killed_for or "a stop by force"
        state = replace(state, terminate_at=None, kill_at=None, killed_for=killed_for)
    return state


def _on_restart(now: float, state: ChildState, reason: str, policy: RestartPolicy, actions: list[Action]) -> ChildState:
    if state.process in (ProcessState.STARTING, ProcessState.RUNNING):
        return _stopping(now, state, After.RESTART, reason, policy, actions)
    if state.process in (ProcessState.STOPPED, ProcessState.FATAL, ProcessState.BACKOFF):
        return _launch(now, replace(state, failures=0, recent=()), reason, actions)
    return state  # STOPPING: the first request decides what follows


def _on_exit(
    now: float, state: ChildState, code: int, text: str, policy: RestartPolicy, jitter: float, actions: list[Action]
) -> ChildState:
    if not state.alive:
        return state
    if state.process is not ProcessState.STOPPING:
        return _failed(now, state, code, text, policy, jitter, actions)
    after, asked = state.after, state.reason
    state = replace(state, alive=False)
    if after is After.FAIL:
        text = text if asked in text else f"{asked}; {text}"
        return _failed(now, state, None, text, policy, jitter, actions)
    if after is After.RESTART:
        return _launch(now, state, asked, actions)
    return _enter(now, state, ProcessState.STOPPED, text)


def _on_time(now: float, state: ChildState, policy: RestartPolicy, actions: list[Action]) -> ChildState:
    match state.process:
        case ProcessState.BACKOFF:
            if state.due is not None and now >= state.due:
                return _launch(now, replace(state, restarts=state.restarts + 1), state.reason, actions)
        case ProcessState.STARTING | ProcessState.RUNNING:
            return _on_silence(now, state, policy, actions)
        case ProcessState.STOPPING:
            return _escalate(now, state, actions)
    return state


def _on_silence(now: float, state: ChildState, policy: RestartPolicy, actions: list[Action]) -> ChildState:
    limit, silent = _limit(state, policy), _silence(now, state)
    if not state.alive or silent <= limit:
        return state
    longest = limit * policy.patience
    if silent - state.excused <= limit and silent <= longest:
        if not state.slow:
            text = f"no report for {limit:g} s, but it is alive: it works, or waits for a core or the disk"
            actions.append(Alert("WARNING", f"{text}; it has {longest:g} s", SLOW))
        return replace(state, slow=True)
    reason = f"no heartbeat (no report for {silent:.0f} s)"
    actions += [Alert("ERROR", f"{reason}; it is killed"), Do.ABORT]
    failures = 0 if _ran_well(now, state, policy) else state.failures
    state = _enter(now, state, ProcessState.STOPPING, reason)
    return replace(state, failures=failures, after=After.FAIL, kill_at=now + policy.abort_grace, killed_for=reason)


def _escalate(now: float, state: ChildState, actions: list[Action]) -> ChildState:
    if state.kill_at is not None and now >= state.kill_at:
        if state.after is not After.FAIL:
            actions.append(Alert("ERROR", "did not stop in time; it is killed"))
        actions.append(Do.KILL)
        killed_for = state.killed_for or NOT_IN_TIME
        return replace(state, kill_at=None, terminate_at=None, killed_for=killed_for)
    if state.terminate_at is not None and now >= state.terminate_at:
        actions.append(Do.TERMINATE)
        return replace(state, terminate_at=None)
    return state
