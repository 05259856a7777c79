"""A fault plan: what goes wrong, where, when and how often, as a YAML file says it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from cq.errors import ConfigError
from cq.sim.switches import Switches

RequestKind = Literal[
    "latency",
    "timeout_before",
    "timeout_after",
    "too_many",
    "server_error",
    "html_403",
    "drop",
    "cut_short",
    "expired_token",
]
FrameKind = Literal["lost", "duplicate", "reorder", "corrupt"]
SocketKind = Literal["disconnect", "half_open", "silent"]
SpellKind = Literal["outage", "clock_skew", "refuse_sockets"]

REQUEST_KINDS: Final = get_args(RequestKind)
FRAME_KINDS: Final = get_args(FrameKind)
SOCKET_KINDS: Final = get_args(SocketKind)
SPELL_KINDS: Final = get_args(SpellKind)

Manner = Literal["any", "broken", "digit"]
"""How a corrupt frame is corrupt: no JSON, or one digit of its id or date is another."""

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def seconds(value: Any) -> Any:
    """`30`, `30s`, `500ms`, `2m`, `1h` in seconds; anything else as it is, for the error."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h)", str(value).strip())
    return float(found[1]) * _UNITS[found[2]] if found else value


Seconds = Annotated[float, BeforeValidator(seconds), Field(ge=0)]


class Rule(BaseModel):
    """One fault: `kind` says what, the other keys where, when and how.

    It strikes at the moments `at`, at every `each`-th request or frame, or by `chance`; with none
    of these at every one, as long as `after` … `until` last and `limit` is not reached. Moments are
    real seconds since the start.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: RequestKind | FrameKind | SocketKind | SpellKind
    endpoints: tuple[str, ...] = ()
    symbols: tuple[str, ...] = ()
    at: tuple[Seconds, ...] = ()
    each: int | None = Field(None, ge=1)
    chance: float | None = Field(None, ge=0, le=1)
    after: Seconds = 0.0
    until: Seconds | None = None
    limit: int | None = Field(None, ge=1)
    ms: tuple[float, float] | None = None
    lasts: Seconds | None = None
    status: int = Field(503, ge=500, le=599)
    retry_after: Literal["none", "seconds", "date"] = "none"
    wait: Seconds = 1.0
    distance: int = Field(1, ge=1)
    how: Manner = "any"

    @model_validator(mode="before")
    @classmethod
    def _one_or_many(cls, values: Any) -> Any:
        """A single value stands for a list of one; `ms: 200` for exactly that."""
        if not isinstance(values, dict):
            return values
        said = dict(values)
        for name in ("endpoints", "symbols", "at"):
            if name in said and not isinstance(said[name], (list, tuple)):
                said[name] = [said[name]]
        if isinstance(said.get("ms"), (int, float)):
            said["ms"] = (said["ms"], said["ms"])
        return said

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        ways = [name for name in ("at", "each", "chance") if getattr(self, name) not in ((), None)]
        if len(ways) > 1:
            raise ValueError(f"{' and '.join(ways)} exclude each other; leave one")
        if self.kind in ("latency", "clock_skew") and self.ms is None:
            raise ValueError(f"{self.kind} needs ms: how many milliseconds, or [least, most]")
        if self.kind in SPELL_KINDS and (self.each or self.chance is not None or self.limit):
            raise ValueError(f"{self.kind} goes by time: say at and lasts, or after and until")
        if self.kind in (*SPELL_KINDS, "silent") and self.at and self.lasts is None:
            raise ValueError(f"{self.kind} at a moment needs lasts: for how long")
        if self.until is not None and self.until <= self.after:
            raise ValueError(
                f"until ({self.until:g} s) must be later than after ({self.after:g} s)"
            )
        return self


class Plan(BaseModel):
    """Everything that a fault plan may say."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = 0
    switches: Switches = Switches()
    faults: tuple[Rule, ...] = ()


def read_plan(path: Path) -> Plan:
    """The plan in a YAML file; ConfigError with file and line for anything that is not one."""
    from cq.utils.yamls import read_yaml

    document = read_yaml(path)
    try:
        return Plan.model_validate(document.value)
    except ValidationError as error:
        first = error.errors()[0]
        keys = tuple(str(key) for key in first["loc"])
        said = first["msg"].removeprefix("Value error, ")
        place = document.where(tuple(key for key in keys if not key.isdigit()))
        raise ConfigError(place, f"{'.'.join(keys) or 'the plan'}: {said}") from None
