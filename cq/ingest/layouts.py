"""All known layouts, and which of them a file is in."""

from __future__ import annotations

from cq.errors import UsageError
from cq.ingest import bars, books, lean, mercado_bitcoin, named, six_columns, streams, trade_files
from cq.ingest.layout import Layout
from cq.ingest.source import Source, Unrecognised

LAYOUTS: tuple[Layout, ...] = (
    *streams.LAYOUTS,
    *books.LAYOUTS,
    *bars.LAYOUTS,
    *lean.LAYOUTS,
    *mercado_bitcoin.LAYOUTS,
    *six_columns.LAYOUTS,
    *trade_files.LAYOUTS,
    *named.LAYOUTS,
)

EXPECTED = {
    "ohlcv": "columns ts, open, high, low, close, volume",
    "trades": "columns ts, price, size (and side, trade_id)",
    "orderbook_l2": "columns ts, side, price, size, or bid, bid_size, ask, ask_size",
}


def forced(name: str, dataset: str) -> Layout:
    """The layout called `name`, for `--layout`."""
    for layout in LAYOUTS:
        if layout.name == name:
            if dataset not in layout.datasets:
                raise UsageError(
                    f"layout {name} is of {', '.join(layout.datasets)}, not of {dataset}"
                )
            return layout
    raise UsageError(f"no layout {name!r}; there is {', '.join(one.name for one in LAYOUTS)}")


def recognised(source: Source, dataset: str) -> Layout:
    """The first layout that the file is in; Unrecognised says what was found and expected."""
    matching = [layout for layout in LAYOUTS if layout.matches(source)]
    matching = [layout for layout in matching if layout not in named.LAYOUTS] or matching
    for layout in matching:
        if dataset in layout.datasets:
            return layout
    if matching:
        holds = matching[0].datasets
        raise Unrecognised(
            source.path,
            f"looks like {matching[0].name}, which holds {' or '.join(holds)}, not {dataset}",
            f"say --dataset {holds[0]}, or describe it with --mapping FILE",
        )
    if lacking := named.lacking(dataset, source):
        raise Unrecognised(
            source.path,
            f"lacks {' and '.join(lacking)}: found {source.found()}",
            f"{dataset} needs {', '.join(named.NEEDED[dataset])}; say which column it is with "
            "--mapping FILE",
        )
    raise Unrecognised(
        source.path,
        f"is in no known layout: found {source.found()}",
        f"expected {EXPECTED[dataset]}; describe it with --mapping FILE (columns, separator, "
        "decimal, encoding) or force --layout NAME (see `cq lake import --help`)",
    )
