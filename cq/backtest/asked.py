"""What a run that was kept asked for: its strategy and settings, as they were then."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from cq.backtest.kept import Kept
from cq.errors import CqError, DataError
from cq.lake.fingerprint import load
from cq.strategies import Strategy
from cq.strategies.loading import rebuilt
from cq.strategies.problems import one_line
from cq.utils.trading_settings import Backtest


def strategy_of(kept: Kept, project: Path) -> Strategy:
    """The run's strategy, over the exchange that it read: another may have its symbols by now."""
    said = kept.config["strategy"]
    file = project / kept.said.get("file", "strategy.yaml")
    return rebuilt({**said, "exchange": said.get("exchange") or _exchange(kept)}, file)


def _exchange(kept: Kept) -> str | None:
    """Where all that was read came from; None where there are several, or nobody says."""
    try:
        owners = load(kept.folder / "data.json").blocks
    except CqError:
        return None
    names = {owner.exchange for owner in owners}
    return names.pop() if len(names) == 1 else None


def settings_of(kept: Kept) -> Backtest:
    """The run's settings; DataError where this cq knows none such."""
    said = kept.config.get("backtest", {})
    try:
        return Backtest.model_validate(said)
    except ValidationError as error:
        wrong = one_line(error, lambda _: "backtest", said, Backtest)
        raise DataError(f"{kept.name}: its settings mean nothing to this cq: {wrong}") from None
