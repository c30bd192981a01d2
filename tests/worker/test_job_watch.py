"""What is told of readings that fail for minutes, and what is not."""

from __future__ import annotations

from gridbot.exchange.failures import ErrorKind, make_error
from gridbot.exchange.remedies import with_reading_remedy
from gridbot.incidents import Name, Standing
from gridbot.worker.job_watch import FAILS_FOR_S, FORGOTTEN_S, KEPT, JobWatch, Reading

BUSY = make_error("busy", ErrorKind.RETRY)
NO_RIGHT = make_error("Permission denied.", ErrorKind.AUTH, ret_code=10005)
MONEY = Reading("money", "comparing the records")


def failed(watch: JobWatch, *times: float, reading: Reading = MONEY, is_explained: bool = False) -> None:
    for now_s in times:
        watch.ended(reading, BUSY, now_s)
        watch.look(now_s, is_explained=is_explained)


def test_what_fails_for_minutes_is_told_with_the_newest_error_and_its_remedy_until_it_succeeds() -> None:
    watch = JobWatch()
    failed(watch, 1.0, 100.0, FAILS_FOR_S)
    assert watch.standing() == {}
    watch.ended(MONEY, NO_RIGHT, FAILS_FOR_S + 1)
    watch.look(FAILS_FOR_S + 1, is_explained=False)
    text = f"comparing the records failed 4 times in a row: {with_reading_remedy(NO_RIGHT)}"
    assert watch.standing() == {Name("job.money"): Standing("warning", text)}
    watch.ended(MONEY, None, FAILS_FOR_S + 2)
    assert watch.failing() == {}
    failed(watch, FAILS_FOR_S + 3)
    assert watch.failing() == {}, "it begins anew"


def test_a_success_between_is_no_failure_for_minutes_and_a_long_silence_is_another_failure() -> None:
    watch = JobWatch()
    failed(watch, 0.0)
    watch.ended(MONEY, None, 200.0)
    failed(watch, 250.0, FAILS_FOR_S + 1)
    assert watch.failing() == {}
    failed(watch, FAILS_FOR_S + 1 + FORGOTTEN_S)
    assert watch.failing() == {}
    failed(watch, FAILS_FOR_S * 2 + 1 + FORGOTTEN_S)
    assert "failed 2 times" in watch.failing()["money"]
    watch.look(FAILS_FOR_S * 2 + 1 + FORGOTTEN_S * 2, is_explained=False)
    assert watch.failing() == {}, "nobody wants it any more"


def test_what_a_ban_or_a_maintenance_explains_is_told_when_it_goes_on_after_them() -> None:
    watch = JobWatch()
    failed(watch, 0.0, FAILS_FOR_S, is_explained=True)
    assert watch.failing() == {}
    watch.look(FAILS_FOR_S + 1, is_explained=False)
    assert watch.failing().keys() == {"money"}
    watch.look(FAILS_FOR_S + 2, is_explained=True)
    assert watch.failing().keys() == {"money"}, "it is not over because something else has begun"


def test_several_of_a_kind_are_one_incident_which_names_the_oldest() -> None:
    watch = JobWatch()
    for at_s, symbol in enumerate(("ETHUSDT", "BTCUSDT", "SOLUSDT")):
        failed(watch, at_s, at_s + FAILS_FOR_S, reading=Reading("terms", "reading the terms", symbol))
    [text] = watch.failing().values()
    assert text.startswith("reading the terms of ETHUSDT (and of 2 more) failed 2 times in a row: busy (retry); ")


def test_few_failing_readings_are_remembered() -> None:
    watch = JobWatch()
    for number in range(KEPT + 50):
        failed(watch, float(number), reading=Reading("look_up", "looking up", str(number)))
    assert len(watch._failing) == KEPT
    assert Reading("look_up", "looking up", "49") not in watch._failing


def test_what_is_given_up_is_dropped_at_once() -> None:
    """A look-up was told for up to 15 minutes after its order had ended."""
    watch = JobWatch()
    for subject in ("g1", "g2"):
        failed(watch, 0.0, FAILS_FOR_S, reading=Reading("look_up", "reading the state", subject))
    failed(watch, 0.0, FAILS_FOR_S)
    watch.asked_still({"look_up"}, {"g2"})
    assert watch.failing().keys() == {"look_up", "money"}
    assert watch.failing()["look_up"].startswith("reading the state of g2 failed 2 times in a row")
    watch.asked_still({"look_up"}, ())
    assert watch.failing().keys() == {"money"}
