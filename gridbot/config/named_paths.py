"""The paths that a configuration names: what each may be, and where a relative one starts from.

One rule for all of them (`paths.path_fault`), so that no command, process or working directory reads one differently.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from gridbot.config.errors import Loc, Problem
from gridbot.config.models import GridbotConfig
from gridbot.config.paths import is_address, path_fault, placed

__all__ = ["path_problems", "with_paths"]

MARKET: Final = ("paper", "market")
FILES: Final = (*MARKET, "files")
TLS: Final[tuple[Loc, ...]] = (("web", "tls_cert"), ("web", "tls_key"))
TOKEN: Final[Loc] = ("web", "metrics_token_file")
SINGLE: Final[tuple[Loc, ...]] = (
    *(("storage", "data_dir"), ("paper", "state_file"), (*MARKET, "instruments_from")),
    *TLS,
    TOKEN,
)


def path_problems(data: Mapping[str, Any], raw: Mapping[Loc, str]) -> Iterator[Problem]:
    """Each path that may not stand in the file. `raw`: the texts as they stand in it."""
    files = _at(data, FILES)
    places = [*SINGLE, *((*FILES, str(symbol)) for symbol in files or ())] if isinstance(files, dict) else SINGLE
    for place in places:
        text = _at(data, place)
        if not isinstance(text, str) or is_address(text):
            continue
        if (fault := path_fault(text)) is not None:
            yield Problem(place, fault[0], f"`{raw.get(place, text)}`", fault[1])


def with_paths(config: GridbotConfig, root: Path, data_dir: str | Path | None) -> GridbotConfig:
    """Every path absolute. What gridbot writes is in the data directory; what it reads starts from `root`."""
    home = placed(None, data_dir) if data_dir else placed(root, config.storage.data_dir)
    paper, market = config.paper, config.paper.market
    origin = market.instruments_from
    if origin and not is_address(origin):
        origin = str(placed(root, origin))
    files = {symbol: placed(root, file) for symbol, file in market.files.items()}
    changes = {
        "market": market.model_copy(update={"files": files, "instruments_from": origin}),
        "state_file": None if paper.state_file is None else placed(home, paper.state_file),
    }
    storage = config.storage.model_copy(update={"data_dir": home})
    tls = {name: placed(root, file) for name in ("tls_cert", "tls_key") if (file := getattr(config.web, name))}
    if config.web.metrics_token_file is not None:
        tls["metrics_token_file"] = placed(home, config.web.metrics_token_file)
    web = config.web.model_copy(update=tls)
    return config.model_copy(update={"storage": storage, "paper": paper.model_copy(update=changes), "web": web})


def _at(data: Any, place: Loc) -> Any:
    """The value there; None when there is none."""
    for part in place:
        data = data.get(part) if isinstance(data, dict) else None
    return data
