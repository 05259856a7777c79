"""What every command is handed: the project, its settings, its lake, each made when asked for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from cq.cli.output import note
from cq.errors import LakeUnwritable, NoLake

if TYPE_CHECKING:
    from cq.lake import Lake
    from cq.utils.settings import Settings


@dataclass
class App:
    """The options of the root command, and what follows from them."""

    project_option: Path | None = None
    config_file: Path | None = None
    overrides: tuple[str, ...] = ()

    @cached_property
    def project(self) -> Path:
        """The project folder, absolute; ConfigError where there is none."""
        from cq.utils.config import find_project

        return find_project(self.project_option)

    @cached_property
    def settings(self) -> Settings:
        """The merged settings, read once."""
        from cq.utils.config import load

        return load(self.project, config_file=self.config_file, overrides=self.overrides).settings

    @cached_property
    def lake(self) -> Lake:
        """The lake at `data_root`, with the settings' partitions, healed of what was killed."""
        from cq.lake import Lake

        found = Lake(
            self.settings.data_root,
            partitions={name: one.path for name, one in self.settings.partitions.items()},
            sql_root=self.project / "sql",
            runs=self.project / "runs",
        )
        try:
            found.heal()
        except LakeUnwritable as error:  # reading goes on all the same
            note(f"cq: what a killed command left in {found.root} stays for now: {error}")
        return found

    @property
    def found_lake(self) -> Lake:
        """The same for commands that only look: NoLake where there is none, and none is begun."""
        if not self.lake.exists:
            raise NoLake(self.lake.root)
        return self.lake

    def none_yet(self, what: str = "nothing") -> str:
        """What to do first in a lake without it."""
        return (
            f"{what} in {self.lake.root} yet; fetch some with `cq lake ingest SYMBOL` "
            "or `cq lake import PATH --dataset ohlcv`"
        )
