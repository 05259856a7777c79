"""The command line's root: a table of commands, each imported only when it is called."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import click

from cq import __version__
from cq.cli.app import App
from cq.cli.stopping import Terminated, advice, stoppable
from cq.errors import CqError, DataError, UsageError
from cq.utils.names import is_text

INTERRUPTED = 130
TERMINATED = 143


class LazyGroup(click.Group):
    """A group whose commands are `name: (module:attribute, one line of help)`."""

    def __init__(self, *args: Any, table: dict[str, tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of the table, which is the order of work."""
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module and return the command."""
        if cmd_name not in self.table:
            return None
        module, attribute = self.table[cmd_name][0].split(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Suggest the nearest name for a mistyped one, without importing anything."""
        if args and args[0] not in self.table and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(args[0], self.table, n=1)
            advice = f"did you mean `{near[0]}`?" if near else f"there is {', '.join(self.table)}"
            ctx.fail(f"no such command {args[0]!r}; {advice}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from the table, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in self.table.items()])


COMMANDS = {
    "init": ("cq.cli.init:init", "Make a new project folder."),
    "config": ("cq.cli.config:config", "Show settings and where each value came from."),
    "lake": ("cq.cli.lake:lake", "Fetch, import, check and query the data lake."),
    "stats": ("cq.cli.stats:stats", "Show returns, risk and correlations."),
    "indicators": (
        "cq.cli.indicators:indicators",
        "List indicators with parameters and warm-ups.",
    ),
    "backtest": ("cq.cli.backtest:backtest", "Run a strategy over the lake's bars."),
    "sweep": ("cq.cli.sweep:sweep", "Run a strategy with many parameters."),
    "walkforward": (
        "cq.cli.walkforward:walkforward",
        "Choose parameters on the past, try them on what came after.",
    ),
    "montecarlo": (
        "cq.cli.montecarlo:montecarlo",
        "Draw other histories of a run.",
    ),
    "metrics": ("cq.cli.metrics:metrics", "Say what each metric of a backtest means."),
    "runs": ("cq.cli.runs:runs", "List runs, compare them, run one again."),
    "features": ("cq.cli.features:features", "Show the frame that a strategy sees."),
    "check": ("cq.cli.check:check", "Hold a strategy to what live trading could have known."),
    "live": ("cq.cli.live:live", "Trade a strategy on paper."),
    "sim": ("cq.cli.sim:sim", "Serve a simulated exchange to rehearse on."),
    "demo": ("cq.cli.demo:demo", "See the whole path on a generated market, offline."),
}


@click.group(
    cls=LazyGroup, table=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(__version__, prog_name="cq")
@click.option(
    "--project",
    type=click.Path(path_type=Path),
    help="Project folder (holds configs/default.yaml); found upward from here by default.",
)
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    help="Your own YAML; configs/local.yaml by default.",
)
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="One setting, such as env=prod."
)
@click.pass_context
def cli(
    ctx: click.Context, project: Path | None, config_file: Path | None, overrides: tuple[str, ...]
) -> None:
    """A data lake, backtests and paper trading for Mercado Bitcoin, all in one tool.

    Start with `cq demo`, or with `cq init my-project`.
    """
    ctx.obj = App(project, config_file, overrides)


def main() -> None:
    """Run the command line; a user's mistake ends in one line and the documented exit code.

    All is on disk and said by then; taking the libraries apart would only keep the user waiting.
    """
    _open_closed_streams()
    code = run(sys.argv[1:])
    with suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        _refuse_odd_bytes(arguments)
        with stoppable():
            cli.main(arguments, prog_name="cq", standalone_mode=False)
            sys.stdout.flush()
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.exceptions.NoArgsIsHelpError as asked:
        click.echo(asked.format_message(), err=True)
        return 2
    except click.ClickException as error:
        click.echo(f"cq: {error.format_message()}", err=True)
        return 2
    except CqError as error:
        if _debugging():
            raise
        click.echo(f"cq: {error}", err=True)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort) as stop:
        click.echo(f"cq: interrupted; {advice(stop)}", err=True)
        return INTERRUPTED
    except Terminated as stop:
        click.echo(f"cq: ended; {advice(stop)}", err=True)
        return TERMINATED
    except (BrokenPipeError, SystemExit):  # whoever reads has seen enough; click exits for it
        _drop_output()
    except OSError as error:
        if _debugging():
            raise
        _drop_output()
        where = f"{error.filename}: " if error.filename is not None else ""
        said = error.strerror or str(error)
        click.echo(f"cq: {where}{said}; check permissions and free space", err=True)
        return DataError.exit_code
    return 0


def _open_closed_streams() -> None:
    """Lead what was closed (`>&-`) nowhere: Python has None there, and a file would be given its
    number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115


def _refuse_odd_bytes(arguments: list[str]) -> None:
    """UsageError for bytes that are no text: SQL, JSON and the lake's names have none."""
    for one in arguments:
        if not is_text(one):
            raise UsageError(
                f"found {one!r}, expected text in UTF-8; give it another name, "
                "or set PYTHONUTF8=1 where the terminal's language is not UTF-8"
            )


def _debugging() -> bool:
    return os.environ.get("CQ_DEBUG", "").strip().lower() in ("1", "true", "yes")


def _drop_output() -> None:
    """What could not be printed is not tried again when Python ends."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
