"""Status models to make metrics of: as a demo said it (recorded), and of fifty accounts with everything that can be."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from gridbot.risk.refusals import Refusal

RECORDED = Path(__file__).with_name("recorded_status.json")
"""`status --json` of conf/demo.yaml, a minute old, after `kill -9` of a worker."""
SCOPES = ("fleet", "night")


def recorded() -> dict[str, Any]:
    model: dict[str, Any] = json.loads(RECORDED.read_text(encoding="utf-8"))
    return model


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
    model["web"] = {"process": {**model["writer"]["process"], "name": "web"}}
    return model
