from __future__ import annotations

import re

from supervisor.polling import wait_until
from supervisor.utc_time import file_stamp, utc_now


def test_the_first_truthy_result_ends_the_wait() -> None:
    results = iter([0, 0, 7, 8])
    assert wait_until(lambda: next(results), timeout_s=60, every_s=0) == 7
    assert next(results) == 8


def test_the_last_result_when_the_time_is_up() -> None:
    looks: list[int] = []
    assert wait_until(lambda: looks.append(1), timeout_s=0, every_s=60) is None
    assert looks == [1], "looks at least once"


def test_times_as_text() -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", utc_now())
    assert re.fullmatch(r"\d{8}T\d{6}Z", file_stamp())
