"""`cq check`: is a strategy what live trading would repeat?"""

from __future__ import annotations

import click

from cq.cli.main import LazyGroup

COMMANDS = {
    "lookahead": ("cq.cli.check_strategy:lookahead", "Does it see the future?"),
    "warmup": ("cq.cli.check_strategy:warmup", "Does it know how much history it needs?"),
}


@click.group(cls=LazyGroup, table=COMMANDS)
def check() -> None:
    """Hold a strategy to what live trading could have known.

    Both end in exit code 1 and name the column and the first bar at fault.
    """
