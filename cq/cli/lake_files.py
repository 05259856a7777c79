"""`cq lake files`: which files there are, and where their rows come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cq.cli.app import App
from cq.cli.lake_status import minute, size
from cq.cli.output import note, print_json, print_table
from cq.cli.symbols import in_lake, symbols_argument
from cq.errors import UsageError

if TYPE_CHECKING:
    from cq.lake.origin import Origin

COLUMNS = ("file", "first", "newest", "rows", "size", "source", "asked for", "ingested", "cq")


@click.command()
@symbols_argument
@click.option("--dataset", default="ohlcv", show_default=True, help="Whose files.")
@click.option("--interval", help="Only bars of this interval.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def files(
    app: App, symbols: tuple[str, ...], dataset: str, interval: str | None, *, as_json: bool
) -> None:
    """Show the files of SYMBOLS (all by default) and where their rows come from.

    Who brought them, which range was asked for, when they were landed and by which cq, as each
    file says of itself, e.g. `cq lake files BTC-BRL --interval 1h`.
    """
    from cq.lake.datasets import dataset as named
    from cq.lake.places import relative
    from cq.lake.status import check_interval
    from cq.lake.status import files as found_in

    symbols = in_lake(app, symbols)
    if interval is not None and "interval" not in named(dataset).schema:
        raise UsageError(f"{dataset} have no interval; leave it out")
    check_interval(app.lake.stored().select("symbol", "interval").rows(), interval, symbols)
    root = app.lake.root
    found = found_in(app.lake, dataset, symbols, interval)
    if as_json:
        print_json({"lake": str(root), "files": [one.as_dict(root) for one in found]})
    elif found:
        print_table(
            COLUMNS,
            [
                (
                    relative(root, one.path),
                    minute(one.first),
                    minute(one.last),
                    one.rows,
                    size(one.size),
                    *_origin(one.origin),
                )
                for one in found
            ],
        )
    else:
        note(f"no such file of {dataset} in {root}; see what there is with `cq lake status`")


def _origin(origin: Origin | None) -> tuple[str | None, ...]:
    if origin is None:
        return (None,) * 4
    ends = [minute(one) for one in (origin.asked_start_ts, origin.asked_end_ts)]
    asked = " to ".join(one for one in ends if one)
    return origin.source, asked or None, minute(origin.ingested_ts), origin.version
