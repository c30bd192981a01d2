"""Status models to make metrics of: as a demo said it (recorded), and of fifty accounts with everything that can be."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from gridbot.risk.refusals import Refusal
from supervisor.status.program_revision import REVISION

RECORDED = Path(__file__).with_name("recorded_status.json")
"""`status --json` of conf/demo.yaml, a minute old, after `kill -9` of a worker."""
SCOPES = ("fleet", "night")


def recorded() -> dict[str, Any]:
    """As a supervisor of this version says it."""
    model: dict[str, Any] = json.loads(RECORDED.read_text(encoding="utf-8"))
    model["supervisor"]["revision"] = REVISION
    return model


def of_fleet() -> dict[str, Any]:
    """The section of a host of three: h2 is dead, h4 has ended in order."""
    hosts = [
        {"host": name, "state": state, "lag_s": lag_s, "records_s": 4.5, "accounts": 1, "capacity": 50, "here": here,
         "seen_s": 0.0, "trouble": "", "configuration": 7, "address": "", "offers": 2, "program": "1"}
        for name, state, lag_s, here in (
            ("h1", "up", 0.4, True), ("h2", "dead", 90.0, False),
            ("h3", "drains", 1.5, False), ("h4", "down", 9.0, False),
        )
    ]  # fmt: skip
    accounts = [
        {"account": name, "host": host, "state": state, "epoch": epoch, "left_s": left_s, "held_s": 60.0,
         "previous": "", "goes_to": "", "why": ""}
        for name, host, state, epoch, left_s in (
            ("a0", "h1", "held", 4, 8.5), ("b0", "h2", "ends", 2, -80.0), ("c0", "", "free", 0, None)
        )
    ]  # fmt: skip
    services = [
        {"service": "notify", "here": True, "host": "h1", "epoch": 3},
        {"service": "telegram", "here": False, "host": "h3", "epoch": 1},
    ]
    return {
        "name": "night", "host": "h1", "database": "there", "away_s": None, "problem": "", "seen_s": 1.0, "ttl_s": 10.0,
        "takeover_s": 13.0, "configuration": 6, "in_force": 7, "not_offered": {}, "lapsed": [], "takeovers": 2,
        "hosts": hosts, "accounts": accounts, "services": services,
    }  # fmt: skip


def fifty() -> dict[str, Any]:
    """Each account with every refusal, code, cap and liquidation price; words that nobody knows among them."""
    model = recorded()
    pattern = model["accounts"][0]
    model["accounts"] = []
    for number in range(50):
        row = copy.deepcopy(pattern)
        row["account"] = f"a{number}"
        row["process"]["name"] = f"worker-a{number}"
        for place, strategy in enumerate(row["strategies"]):
            strategy["strat_id"] = f"a{number}-{place}"
            strategy["waiting"] = {reason.value: 1 for reason in Refusal} | {"made up": 2, "this too": 3}
            for leg in ("long", "short"):
                strategy[leg] |= {"size": "1", "entry": "60000", "liq": "30000"}
        row["counts"]["refusals"] = {f"a{number}-0": {"paused": 4, "a word of tomorrow": 1}, "removed": {"paused": 9}}
        row["counts"]["frame_to_answer"] = {"counts": [0, 3, *[0] * 11], "total_s": 0.004}
        row["counts"]["ret_codes"] = {"0": 5, "110007": 2, "other": 1, "none": 1}
        row["counts"]["query_codes"] = {"0": 50, "10006": 1}
        row["caps"] = [{"cap": "max_notional", "used": "1", "limit": "2", "share": 0.5}]
        model["accounts"].append(row)
    model["writer"]["waiting"] = {f"a{number}": number for number in range(50)}
    model["caps"] = [
        {"scope": scope, "cap": "max_drawdown", "used": "1", "limit": "4", "share": 0.25, "held": ["a1"]}
        for scope in SCOPES
    ]
    model["caps"] += [{**model["caps"][0], "cap": "max_notional", "here": {"reserved": "3", "used": "1"}}]
    model["fleet"] = of_fleet()
    model["web"] = {"process": {**model["writer"]["process"], "name": "web"}}
    return model
