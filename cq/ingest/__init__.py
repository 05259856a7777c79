"""Data into the lake: fetched, streamed, imported, replayed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cq.ingest.events import stream_orderbook, stream_tickers, stream_trades

__all__ = ["stream_orderbook", "stream_tickers", "stream_trades"]


def __getattr__(name: str) -> Any:
    """Load what is asked for: whoever imports files has no use for sockets."""
    if name in __all__:
        from cq.ingest import events

        return getattr(events, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
