"""The messages of a reload as a worker takes them: look, prepare, apply, forget. Each gets one answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gridbot.exchange.failures import ExchangeError
from gridbot.fault_words import in_words
from gridbot.worker.reloading import CannotReload, Reloading

__all__ = ["reload_step"]


async def reload_step(
    reloading: Reloading, message: Mapping[str, Any], on_fault: Callable[[str, BaseException], None]
) -> dict[str, Any]:
    """`settings` of look and prepare is the configuration that is to be in force; the answer has `ok`.

    `leave_positions` of apply says that what is removed need not be flat.
    """
    step = message.get("step")
    try:
        match step:
            case "look":
                return {"ok": True, "result": reloading.look(message["settings"])}
            case "prepare":
                await reloading.prepare(message["settings"])
                return {"ok": True, "result": "prepared"}
            case "apply":
                return {
                    "ok": True,
                    "result": await reloading.apply(leave_positions=bool(message.get("leave_positions"))),
                }
            case "forget":
                reloading.forget()
                return {"ok": True, "result": "forgotten"}
        return {"ok": False, "error": f"expected look, prepare, apply or forget, got {step!r}"}
    except (CannotReload, ExchangeError) as error:
        return {"ok": False, "error": str(error)}
    except Exception as error:  # noqa: BLE001 - reported with its traceback; the operator gets an answer
        on_fault(f"the step {step!r} of a reload", error)
        text = f"unexpected {in_words(error)}; the worker's log has the traceback"
        return {"ok": False, "unsure": True, "error": text}
