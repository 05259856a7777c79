"""`cq lake`: the table of what can be done with the lake."""

from __future__ import annotations

import click

from cq.cli.main import LazyGroup

COMMANDS = {
    "ingest": ("cq.cli.lake_ingest:ingest", "Fetch bars or trades from the exchange."),
    "stream": ("cq.cli.lake_stream:stream", "Write live trades, bars and books, for days."),
    "record": ("cq.cli.lake_record:record", "Keep raw frames with their arrival times."),
    "replay": ("cq.cli.lake_replay:replay", "Play recordings into the lake."),
    "import": ("cq.cli.lake_import:import_", "Bring files of others into the lake."),
    "quality": ("cq.cli.lake_quality:quality", "Say what is wrong, missing or late."),
    "gaps": ("cq.cli.lake_gaps:gaps", "Say why bars are missing."),
    "repair": ("cq.cli.lake_repair:repair", "Fetch or rebuild missing bars."),
    "verify": ("cq.cli.lake_verify:verify", "Find files that are not what they were."),
    "status": ("cq.cli.lake_status:status", "Show what the lake holds."),
    "files": ("cq.cli.lake_files:files", "Say of each file where its rows come from."),
    "fingerprint": ("cq.cli.lake_diff:fingerprint", "Name exactly what a query reads."),
    "diff": ("cq.cli.lake_diff:diff", "Say which rows differ between lakes or fingerprints."),
    "compact": ("cq.cli.lake_compact:compact", "Merge small files into large ones."),
    "vacuum": ("cq.cli.lake_vacuum:vacuum", "Remove what killed runs and moved files left."),
    "sql": ("cq.cli.lake_sql:sql", "Ask anything in SQL."),
}


@click.group(cls=LazyGroup, table=COMMANDS)
def lake() -> None:
    """Fetch, import, check and query the data lake.

    A base alone (BTC) is the market in the setting `quote` (BTC-BRL). Ask the lake in SQL from any
    directory with `duckdb lake.db`.
    """
