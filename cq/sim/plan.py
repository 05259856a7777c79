"""A fault plan: what goes wrong, where, when and how often, as a YAML file says it."""

from __future__ import annotations

import re
from collections.abc import Collection
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from cq.sim.limits import ALL, DOCUMENTED
from cq.sim.problems import one_line
from cq.sim.switches import Switches
from cq.utils.models import PlainNumbers
from cq.utils.names import SYMBOL, among, symbol_meant

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

UNLIMITED: Final = ("oauth2_token", "authorize", "accounts", "tier", "trading_fees", "ws")
SOCKET: Final = "ws"
ENDPOINTS: Final = tuple(name for name in (*DOCUMENTED, *UNLIMITED) if name != ALL)
"""The names of the routes, which a rule's `endpoints` go by; `ws` are the sockets."""

PUBLIC: Final = frozenset(
    ("symbols", "tickers", "orderbook", "trades", "candles", "asset_fees", "asset_networks")
)

LOOKED_AT: Final[dict[str, tuple[str, ...]]] = {
    "endpoints": (*REQUEST_KINDS, "outage"),
    "symbols": (*REQUEST_KINDS, *FRAME_KINDS, *SOCKET_KINDS, "outage"),
    "ms": ("latency", "clock_skew"),
    "lasts": ("timeout_before", "timeout_after", "silent", *SPELL_KINDS),
    "status": ("server_error",),
    "retry_after": ("too_many",),
    "wait": ("too_many",),
    "distance": ("reorder",),
    "how": ("corrupt",),
}
"""The kinds that look at a key, of keys that not all of them do."""

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def seconds(value: Any) -> Any:
    """`30`, `30s`, `500ms`, `2m`, `1h` in seconds; ValueError for anything else."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h)", str(value).strip())
    if found:
        return float(found[1]) * _UNITS[found[2]]
    plain = isinstance(value, (int, float)) and not isinstance(value, bool)
    if plain and isfinite(value) and value >= 0:
        return value
    raise ValueError(f"found {value!r}, expected a time such as 500ms, 30s, 2m or 1h")


def _endpoint(name: str) -> str:
    if name not in ENDPOINTS:
        raise ValueError(f"no endpoint {name!r}; {among(name, ENDPOINTS)}")
    return name


def _symbol(name: str, info: ValidationInfo) -> str:
    """Of the form BASE-QUOTE; and listed, where it is known what is."""
    listed = (info.context or {}).get("listed")
    meant = symbol_meant(name) or name
    if listed is not None and name not in listed:
        raise ValueError(f"no market {name!r}; {among(meant, listed)}")
    if not SYMBOL.fullmatch(name):
        advice = f"; did you mean {meant}?" if SYMBOL.fullmatch(meant) else ""
        raise ValueError(f"{name!r} is no symbol; expected BASE-QUOTE such as BTC-BRL{advice}")
    return name


def _milliseconds(value: Any) -> Any:
    """A number stands for exactly that, `[least, most]` for a range."""
    ends = value if isinstance(value, (list, tuple)) else (value, value)
    numbers = [one for one in ends if isinstance(one, (int, float)) and not isinstance(one, bool)]
    if len(ends) != 2 or len(numbers) != 2 or not all(isfinite(one) for one in numbers):
        raise ValueError(f"found {value!r}, expected a number, or [least, most]")
    if ends[0] > ends[1]:
        raise ValueError(f"the least ({ends[0]:g}) is more than the most ({ends[1]:g})")
    return ends


Milliseconds = Annotated[tuple[float, float], BeforeValidator(_milliseconds)]
Seconds = Annotated[float, BeforeValidator(seconds)]
Endpoint = Annotated[str, AfterValidator(_endpoint)]
Symbol = Annotated[str, AfterValidator(_symbol)]


class Rule(PlainNumbers):
    """One fault: `kind` says what, the other keys where, when and how.

    It strikes at the moments `at`, at every `each`-th request or frame, or by `chance`; with none
    of these at every one, as long as `after` … `until` last and `limit` is not reached. Moments are
    real seconds since the start.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: RequestKind | FrameKind | SocketKind | SpellKind
    endpoints: tuple[Endpoint, ...] = ()
    symbols: tuple[Symbol, ...] = ()
    at: tuple[Seconds, ...] = ()
    each: int | None = Field(None, ge=1)
    chance: float | None = Field(None, ge=0, le=1)
    after: Seconds = 0.0
    until: Seconds | None = None
    limit: int | None = Field(None, ge=1)
    ms: Milliseconds | None = None
    lasts: Seconds | None = None
    status: int = Field(503, ge=500, le=599)
    retry_after: Literal["none", "seconds", "date"] = "none"
    wait: Seconds = 1.0
    distance: int = Field(1, ge=1)
    how: Manner = "any"

    @model_validator(mode="before")
    @classmethod
    def _one_or_many(cls, values: Any) -> Any:
        """A single value stands for a list of one."""
        if not isinstance(values, dict):
            return values
        said = dict(values)
        for name in ("endpoints", "symbols", "at"):
            if name in said and not isinstance(said[name], (list, tuple)):
                said[name] = [said[name]]
        return said

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        for name, kinds in LOOKED_AT.items():
            if name in self.model_fields_set and self.kind not in kinds:
                raise ValueError(
                    f"{self.kind} does not look at {name}, which is for {', '.join(kinds)}; "
                    "leave it out"
                )
        if deaf := self._never_struck():
            raise ValueError(f"{self.kind} never strikes {', '.join(deaf)}; leave that out")
        ways = [name for name in ("at", "each", "chance") if getattr(self, name) not in ((), None)]
        if len(ways) > 1:
            raise ValueError(f"{' and '.join(ways)} exclude each other; leave one")
        if self.kind in ("latency", "clock_skew") and self.ms is None:
            raise ValueError(f"{self.kind} needs ms: how many milliseconds, or [least, most]")
        if self.kind == "latency" and self.ms is not None and self.ms[0] < 0:
            raise ValueError(f"ms of latency: found {self.ms[0]:g}, expected at least 0")
        if self.kind in SPELL_KINDS and (self.each or self.chance is not None or self.limit):
            raise ValueError(f"{self.kind} goes by time: say at and lasts, or after and until")
        if self.kind in (*SPELL_KINDS, "silent") and self.at and self.lasts is None:
            raise ValueError(f"{self.kind} at a moment needs lasts: for how long")
        if self.kind in SPELL_KINDS and self.lasts is not None and not self.at:
            raise ValueError(f"{self.kind}: lasts counts from the moments `at`; say them, or until")
        if self.at and self.model_fields_set & {"after", "until"}:
            raise ValueError("at says the moments themselves; leave out after and until")
        if self.kind == "clock_skew" and self.ms is not None and self.ms[0] != self.ms[1]:
            raise ValueError("ms of clock_skew is one number: the clock is that much off")
        if self.until is not None and self.until <= self.after:
            raise ValueError(
                f"until ({self.until:g} s) must be later than after ({self.after:g} s)"
            )
        return self

    def _never_struck(self) -> list[str]:
        """Endpoints that it names in vain: sockets are no requests, public ones need no token."""
        return [
            one
            for one in self.endpoints
            if (one == SOCKET and self.kind in REQUEST_KINDS)
            or (one in PUBLIC and self.kind == "expired_token")
        ]


class Plan(PlainNumbers):
    """Everything that a fault plan may say."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    seed: int = Field(0, ge=0)
    switches: Switches = Switches()
    faults: tuple[Rule, ...] = ()


def read_plan(path: Path, listed: Collection[str] | None = None) -> Plan:
    """The plan in a YAML file; ConfigError with file and line for anything that is not one.

    A rule about a symbol that is not among `listed` would never strike, so it is refused.
    """
    from cq.utils.yamls import read_yaml

    document = read_yaml(path)
    try:
        return Plan.model_validate(document.value, context={"listed": listed})
    except ValidationError as error:
        models = {"": Plan, "faults": Rule, "switches": Switches}
        raise one_line(error, document, models) from None
