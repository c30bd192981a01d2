"""Metrics of accounts. Pure: the status model in, samples out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from gridbot.execution.request_counts import ANSWER_S, REQUEST_S
from supervisor.metrics.metric_types import LABELS, Buckets, Json, Kind, Metric, Reader, Sample, number, one_of
from supervisor.status.model import AccountHealth, Freshness

__all__ = ["ACCOUNT_METRICS", "environment_of"]

HEALTH: Final = (*(word.value for word in AccountHealth), "unknown")
FRESHNESS: Final = tuple(word.value for word in Freshness)


def _figure(key: str, scale: float = 1.0) -> Reader:
    def read(model: Json) -> Iterator[Sample]:
        for row in model["accounts"]:
            if (value := number(row.get(key))) is not None:
                yield (row["account"],), value * scale

    return read


def _money(key: str) -> Reader:
    def read(model: Json) -> Iterator[Sample]:
        for row in model["accounts"]:
            if (value := number(row.get(key))) is not None:
                yield (row["account"], environment_of(row)), value

    return read


def environment_of(row: Json) -> str:
    """Where an account trades. Sums over accounts keep it apart: paper money is none."""
    return one_of("environment", row.get("environment"))


def _word(key: str, words: Iterable[str]) -> Reader:
    """One sample for each word: 1 for the one that holds."""

    def read(model: Json) -> Iterator[Sample]:
        for row in model["accounts"]:
            now = row.get(key) or words_all[-1]
            for word in words_all:
                yield (row["account"], word), float(word == now)

    words_all = tuple(words)
    return read


def _count(key: str) -> Reader:
    def read(model: Json) -> Iterator[Sample]:
        for row in model["accounts"]:
            if (value := number(_counts(row).get(key))) is not None:
                yield (row["account"],), value

    return read


def _counts(row: Json) -> Json:
    found: Json = row.get("counts") or {}
    return found


def _counts_by(key: str, label: str) -> Reader:
    """Counts of a dict; those whose words are none of ours come together."""

    def read(model: Json) -> Iterator[Sample]:
        for row in model["accounts"]:
            sums: dict[str, float] = {}
            for word, count in (_counts(row).get(key) or {}).items():
                name = one_of(label, word)
                sums[name] = sums.get(name, 0.0) + (number(count) or 0.0)
            yield from (((row["account"], name), value) for name, value in sums.items())

    return read


def _reconnects(model: Json) -> Iterator[Sample]:
    for row in model["accounts"]:
        for connection in sorted(LABELS["connection"].values):
            if (value := number(_counts(row).get(f"{connection}_reconnects"))) is not None:
                yield (row["account"], connection), value


def _buckets(document: Any, bounds: tuple[float, ...]) -> Buckets | None:
    counts = (document or {}).get("counts") or ()
    if len(counts) != len(bounds) + 1:
        return None
    return Buckets(bounds, tuple(map(float, counts)), float(document["total_s"]))


def _to_request(model: Json) -> Iterator[Sample]:
    for row in model["accounts"]:
        if (found := _buckets(_counts(row).get("frame_to_request"), REQUEST_S)) is not None:
            yield (row["account"],), found


def _through(model: Json) -> Iterator[Sample]:
    for row in model["accounts"]:
        if (found := _buckets(_counts(row).get("frame_to_answer"), ANSWER_S)) is not None:
            yield (row["account"],), found


def _to_answer(model: Json) -> Iterator[Sample]:
    for row in model["accounts"]:
        for request in sorted(LABELS["request"].values):
            if (found := _buckets(_counts(row).get(f"{request}_to_answer"), ANSWER_S)) is not None:
                yield (row["account"], request), found


def _caps(key: str) -> Reader:
    def read(model: Json) -> Iterator[Sample]:
        for row in model["accounts"]:
            for cap in row.get("caps") or ():
                if (value := number(cap.get(key))) is not None:
                    yield (row["account"], one_of("cap", cap["cap"])), value

    return read


def _behind(model: Json) -> Iterator[Sample]:
    for account, records in ((model.get("writer") or {}).get("waiting") or {}).items():
        yield (account,), float(records)


A, MONEY = ("account",), ("account", "environment")
GAUGE, COUNTER, HISTOGRAM = Kind.GAUGE, Kind.COUNTER, Kind.HISTOGRAM
ACCOUNT_METRICS: Final = (
    Metric("gridbot_account_health", GAUGE, "", ("account", "health"),
           "1 for the word that the account's health is, 0 for the others; `unknown` without a report.",
           "accounts[].health", _word("health", HEALTH)),
    Metric("gridbot_account_market_data", GAUGE, "", ("account", "freshness"),
           "1 for how old its market data is, 0 for the other words.",
           "accounts[].freshness", _word("freshness", FRESHNESS)),
    Metric("gridbot_account_equity_usdt", GAUGE, "usdt", MONEY,
           "Equity: the wallet with what is unrealised.", "accounts[].equity", _money("equity")),
    Metric("gridbot_account_wallet_usdt", GAUGE, "usdt", MONEY,
           "Balance of the wallet.", "accounts[].wallet", _money("wallet")),
    Metric("gridbot_account_available_usdt", GAUGE, "usdt", MONEY,
           "What orders may still be backed by.", "accounts[].available", _money("available")),
    Metric("gridbot_account_margin_ratio", GAUGE, "ratio", MONEY,
           "Maintenance margin in relation to the account's margin balance; at 1 the exchange liquidates.",
           "accounts[].margin_ratio", _money("margin_ratio")),
    Metric("gridbot_account_tick_age_seconds", GAUGE, "seconds", A,
           "Age of its newest price.", "accounts[].last_tick_age_s", _figure("last_tick_age_s")),
    Metric("gridbot_account_private_age_seconds", GAUGE, "seconds", A,
           "Since the private stream said anything, a pong included.",
           "accounts[].private_age_s", _figure("private_age_s")),
    Metric("gridbot_account_reconcile_age_seconds", GAUGE, "seconds", A,
           "Since the last complete comparison with the exchange.",
           "accounts[].last_reconcile_age_s", _figure("last_reconcile_age_s")),
    Metric("gridbot_account_loop_lag_seconds", GAUGE, "seconds", A,
           "How late the worker's loop was lately.", "accounts[].loop_lag_ms", _figure("loop_lag_ms", 0.001)),
    Metric("gridbot_account_journal_lag_seconds", GAUGE, "seconds", A,
           "Since the journal was written, while anything waits for it; else 0.",
           "accounts[].journal_lag_s", _figure("journal_lag_s")),
    Metric("gridbot_account_journal_waiting_bytes", GAUGE, "bytes", A,
           "Records in memory that the disk has not taken.", "accounts[].journal_waits", _figure("journal_waits")),
    Metric("gridbot_account_database_waiting_records", GAUGE, "records", A,
           "Records in the journal that are not in the database yet.", "writer.waiting", _behind),
    Metric("gridbot_account_breakers_open", GAUGE, "", A,
           "Levels that are not tried again for now, since the exchange refused them too often.",
           "accounts[].breakers_open", _figure("breakers_open")),
    Metric("gridbot_account_cap_used_ratio", GAUGE, "ratio", ("account", "cap"),
           "Share of each cap that is used; at 1 it acts.", "accounts[].caps[].share", _caps("share")),
    Metric("gridbot_account_frame_to_request_seconds", HISTOGRAM, "seconds", A,
           "From the frame with the price to the request that it caused, without what waited for budget.",
           "accounts[].counts.frame_to_request", _to_request),
    Metric("gridbot_account_frame_to_answer_seconds", HISTOGRAM, "seconds", A,
           "From the frame with the price to the exchange's answer to the orders that it caused.",
           "accounts[].counts.frame_to_answer", _through),
    Metric("gridbot_account_request_to_answer_seconds", HISTOGRAM, "seconds", ("account", "request"),
           "From a request for orders to the exchange's answer.",
           "accounts[].counts.*_to_answer", _to_answer),
    Metric("gridbot_account_order_answers_total", COUNTER, "", ("account", "code"),
           "Orders (created or cancelled) by the retCode that answered them; `0` is done.",
           "accounts[].counts.ret_codes", _counts_by("ret_codes", "code")),
    Metric("gridbot_account_query_answers_total", COUNTER, "", ("account", "code"),
           "Queries (whatever is no order) by the retCode that answered them; `0` is done.",
           "accounts[].counts.query_codes", _counts_by("query_codes", "code")),
    Metric("gridbot_account_orders_sent_total", COUNTER, "", A,
           "Orders whose create request has left.", "accounts[].counts.orders_sent", _count("orders_sent")),
    Metric("gridbot_account_reconnects_total", COUNTER, "", ("account", "connection"),
           "Connections that were made anew.", "accounts[].counts.*_reconnects", _reconnects),
    Metric("gridbot_account_reconciles_total", COUNTER, "", ("account", "result"),
           "Comparisons with the exchange.", "accounts[].counts.reconciles", _counts_by("reconciles", "result")),
    Metric("gridbot_account_reconcile_differences_total", COUNTER, "", ("account", "difference"),
           "What comparisons found to differ from what we knew.",
           "accounts[].counts.differences", _counts_by("differences", "difference")),
    Metric("gridbot_account_queue_dropped_total", COUNTER, "", A,
           "Batches that found no room in the queue to the writer; it reads them from the journal.",
           "accounts[].counts.queue_dropped", _count("queue_dropped")),
)  # fmt: skip
