"""The threads of the REST client."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

from gridbot.bybit.call_pool import DaemonPool


def test_jobs_give_results_and_exceptions():
    pool = DaemonPool(2, "test")
    assert pool.submit(pow, 2, 3).result(5) == 8
    with pytest.raises(ZeroDivisionError):
        pool.submit(divmod, 1, 0).result(5)
    assert pool.shutdown(wait_s=10.0)


def test_no_more_threads_than_asked_for():
    pool = DaemonPool(2, "test")
    names = {pool.submit(lambda: threading.current_thread().name).result(5) for _ in range(20)}
    assert names <= {"test-0", "test-1"}
    assert pool.shutdown(wait_s=10.0)


def test_urgent_jobs_wait_for_no_ordinary_one():
    """As many as there are threads for; ordinary jobs beyond the size of the pool leave those threads alone."""
    pool = DaemonPool(2, "test", urgent=2)
    release, all_run = threading.Event(), threading.Barrier(3)
    slow = [pool.submit(release.wait, 5) for _ in range(6)]
    urgent = [pool.submit_urgent(all_run.wait, 5) for _ in range(2)]
    all_run.wait(5)  # both run at a time
    assert [job.result(5) >= 0 for job in urgent] == [True, True]
    assert sum(job.running() for job in slow) <= 2
    release.set()
    assert [job.result(5) for job in slow] == [True] * 6
    assert pool.shutdown(wait_s=10.0)


def test_ordinary_jobs_run_in_the_order_they_came_and_never_more_than_the_size():
    pool = DaemonPool(1, "test", urgent=3)
    begun: list[int] = []
    ended: list[int] = []
    at_a_time: set[int] = set()

    def work(number: int) -> None:
        begun.append(number)
        at_a_time.add(len(begun) - len(ended))
        ended.append(number)

    pool.submit_urgent(pow, 1, 1).result(5)  # all threads run
    for job in [pool.submit(work, number) for number in range(50)]:
        job.result(5)
    assert begun == ended == list(range(50))
    assert at_a_time == {1}
    assert pool.shutdown(wait_s=10.0)


def test_a_pool_that_is_only_asked_has_no_threads_for_urgent_jobs():
    pool = DaemonPool(1, "only-asked", urgent=4)

    def running() -> int:
        return sum(thread.name.startswith("only-asked-") for thread in threading.enumerate())

    pool.submit(pow, 1, 1).result(5)
    assert running() == 1
    pool.submit_urgent(pow, 1, 1).result(5)
    assert running() == 5
    assert pool.shutdown(wait_s=10.0)
    assert running() == 0


def test_a_job_that_hangs_does_not_hold_up_whoever_waits_for_the_end():
    pool, release = DaemonPool(1, "test"), threading.Event()
    job = pool.submit(release.wait, 30)
    assert not pool.shutdown(wait_s=0.01)
    assert [thread.daemon for thread in threading.enumerate() if thread.name == "test-0"] == [True], "nor the exit"
    release.set()
    assert job.result(5)
    assert pool.shutdown(wait_s=10.0)


@pytest.mark.parametrize("submit", [DaemonPool.submit, DaemonPool.submit_urgent])
def test_after_shutdown_waiting_jobs_fail_and_new_ones_are_refused(submit: Callable[..., Future[Any]]):
    pool = DaemonPool(1, "test")
    started, release = threading.Event(), threading.Event()

    def work() -> bool:
        started.set()
        return release.wait(5)

    under_way = pool.submit(work)
    assert started.wait(5)
    waiting = submit(pool, pow, 1, 1)
    pool.shutdown()
    with pytest.raises(RuntimeError, match="closed"):
        waiting.result(5)
    with pytest.raises(RuntimeError, match="closed"):
        submit(pool, pow, 1, 1)
    release.set()
    assert under_way.result(5)


def test_a_process_can_end_while_a_request_hangs():
    """`ThreadPoolExecutor` would wait for the request's ten minutes; the timeout of this test is the proof."""
    code = """
import asyncio, socket
from gridbot.bybit.endpoints import Credentials, endpoints_for
from gridbot.exchange.environment import Environment
from gridbot.bybit.rest import BybitRest
server = socket.create_server(("127.0.0.1", 0))
rest = BybitRest(endpoints_for(Environment.PAPER, f"http://127.0.0.1:{server.getsockname()[1]}"),
                 Credentials("k", "s"), timeout=600)
async def main():
    call = asyncio.create_task(rest.open_orders())
    await asyncio.get_running_loop().run_in_executor(None, server.accept)
    rest.close()
    call.cancel()
asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr


def test_shutdown_leaves_a_waiting_job_alone_that_nobody_waits_for_any_more():
    """It raised InvalidStateError: a worker that was stopped during its start ended with an error."""
    pool = DaemonPool(1, "test")
    started, release = threading.Event(), threading.Event()

    def work() -> bool:
        started.set()
        return release.wait(5)

    under_way = pool.submit(work)
    assert started.wait(5)
    given_up, waiting = pool.submit(pow, 1, 1), pool.submit(pow, 1, 1)
    assert given_up.cancel()
    pool.shutdown()
    with pytest.raises(RuntimeError, match="test is closed"):
        waiting.result(5)
    release.set()
    assert under_way.result(5)
