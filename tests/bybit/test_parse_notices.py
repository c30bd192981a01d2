"""Rows of maintenance and announcements: as the documentation prints them, and as nonsense."""

from __future__ import annotations

from typing import Any

from gridbot.bybit.parse_notices import parse_announcement, parse_maintenance
from gridbot.bybit.raw_fields import parse_rows
from gridbot.exchange.notices import Announcement, Maintenance, MaintenanceState
from tests.case_table import case_table

ROW: dict[str, Any] = {
    "id": "4d95b2a0-587f-11f0-bcc9-56f28c94d6ea",
    "title": "t06",
    "state": "completed",
    "begin": "1751596902000",
    "end": "1751597011000",
    "href": "",
    "serviceTypes": [2, 3, 4, 5],
    "product": [1, 2],
    "uidSuffix": [],
    "maintainType": 1,
    "env": 1,
}
NEWS: dict[str, Any] = {
    "title": "New Listing: Arbitrum (ARB)",
    "description": "Bybit is excited to announce the listing of ARB on our trading platform!",
    "type": {"title": "New Listings", "key": "new_crypto"},
    "tags": ["Spot", "Spot Listings"],
    "url": "https://announcements.bybit.com/en-US/article/new-listing-arbitrum/",
    "dateTimestamp": 1679045608000,
    "startDateTimestamp": 1679045608000,
    "endDateTimestamp": 1679045608000,
}


def test_a_maintenance_as_documented() -> None:
    assert parse_maintenance(ROW) == Maintenance(
        "4d95b2a0-587f-11f0-bcc9-56f28c94d6ea",
        "t06",
        MaintenanceState.COMPLETED,
        1751596902000,
        1751597011000,
        frozenset({1, 2}),
        env=1,
    )
    assert parse_maintenance({**ROW, "env": "2", "uidSuffix": ["7", 8, None]}).uid_digits == {7, 8}


def test_an_announcement_as_documented_whose_dates_only_repeat_its_time() -> None:
    assert parse_announcement(NEWS) == Announcement(
        NEWS["title"], "new_crypto", 1679045608000, NEWS["description"], NEWS["url"]
    )
    later = parse_announcement({**NEWS, "publishTime": 1679045600000, "endDataTimestamp": 1, "startDateTimestamp": 9})
    assert (later.published_ms, later.start_ms, later.end_ms) == (1679045600000, 0, 1679045608000)


def test_texts_are_one_line_and_not_endless() -> None:
    assert parse_maintenance({**ROW, "title": "a\nb\x1b[2J  c" + "x" * 999}).title.startswith("a b [2J cxxx")
    assert len(parse_maintenance({**ROW, "title": "x" * 999}).title) == 300
    assert len(parse_announcement({**NEWS, "description": "y" * 9999}).description) == 4000


@case_table("value", [None, "", 7, [], {}, "x", True, [None], [{}]])
def test_no_field_can_make_them_raise(value: object) -> None:
    for parser, row, needed in ((parse_maintenance, ROW, "id"), (parse_announcement, NEWS, "title")):
        for field in row:
            _, problems = parse_rows(parser, [{**row, field: value}])
            assert len(problems) == (field == needed and value != "x")
