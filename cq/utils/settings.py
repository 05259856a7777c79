"""Every setting as a frozen, checked value; what each one means stands in configs/default.yaml."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)

from cq.errors import UsageError
from cq.utils.models import MANY_BARS, PlainNumbers
from cq.utils.time import interval_ns, parse_time

MUCH = 1e15
"""A sum of money is no larger: cents of more are no longer counted."""
DATASETS = (
    *("ohlcv", "trades", "orderbook_l2", "orders", "fills"),
    *("coverage", "rejected", "lost"),
)
TEMPLATE_WORDS = ("dataset", "exchange", "symbol", "interval", "YYYY", "MM", "DD", "HHmmss")


def _path(value: object, expected: str = "the path of a file") -> object:
    """`value`, refused in our words where it is no path: pydantic's name its own insides."""
    if not isinstance(value, (str, Path)) or not str(value).strip():
        raise ValueError(f"found {value!r}, expected {expected}")
    return value


FilePath = Annotated[Path, BeforeValidator(_path)]
Severity = Annotated[  # YAML reads `off` as false
    Literal["off", "info", "warn", "error"], BeforeValidator(lambda x: "off" if x is False else x)
]


class _Frozen(PlainNumbers):
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        protected_namespaces=(),
        allow_inf_nan=False,
        hide_input_in_errors=True,
    )


class RateLimits(_Frozen):
    """How often the exchange may be asked."""

    requests_per_minute: float = Field(gt=0)
    requests_per_second: float = Field(gt=0)


class Retry(_Frozen):
    """How a failed request is tried again."""

    max_tries: int = Field(ge=1)
    backoff_base_ms: float = Field(ge=0)
    backoff_cap_ms: float = Field(ge=0)
    backoff_jitter_ms: float = Field(ge=0)

    @model_validator(mode="after")
    def _base_within_cap(self) -> Retry:
        if self.backoff_base_ms > self.backoff_cap_ms:
            raise ValueError(
                f"backoff_base_ms ({self.backoff_base_ms:g}) must not exceed "
                f"backoff_cap_ms ({self.backoff_cap_ms:g})"
            )
        return self


class Backoff(_Frozen):
    """How long to wait before a stream connects again."""

    base_ms: float = Field(500.0, gt=0)
    cap_ms: float = Field(30_000.0, gt=0)
    jitter: float = Field(0.2, ge=0, lt=1)

    @model_validator(mode="after")
    def _base_within_cap(self) -> Backoff:
        if self.base_ms > self.cap_ms:
            raise ValueError(f"base_ms ({self.base_ms:g}) must not exceed cap_ms ({self.cap_ms:g})")
        return self


class Stream(_Frozen):
    """How a live stream is kept alive and whole."""

    ping_seconds: float = Field(15.0, gt=0)
    stale_seconds: float = Field(30.0, gt=0)
    quiet_seconds: float = Field(60.0, gt=0)
    reorder_ms: float = Field(250.0, ge=0)
    settle_seconds: float = Field(5.0, ge=0)
    lost_seconds: float = Field(600.0, gt=0)
    book_depth: Literal[10, 20, 50, 100, 200] = 20
    rotate_seconds: float = Field(300.0, gt=0)
    rotate_rows: int = Field(250_000, ge=1)
    compact_minutes: float | None = Field(60.0, gt=0)
    catch_up_trades: int = Field(100_000, ge=1)
    backoff: Backoff = Backoff()

    @model_validator(mode="after")
    def _ping_before_stale(self) -> Stream:
        if self.ping_seconds >= self.stale_seconds:
            raise ValueError(
                f"ping_seconds ({self.ping_seconds:g}) must be below "
                f"stale_seconds ({self.stale_seconds:g})"
            )
        return self


class Ingestion(_Frozen):
    """Where data is fetched from, and with what manners."""

    rest_base_url: str = Field(pattern=r"^https?://\S+$")
    ws_url: str = Field(pattern=r"^wss?://\S+$")
    timeout_seconds: float = Field(gt=0)
    page_bars: int = Field(ge=1)
    trades_after: Literal["since", "tid", "none"] = "since"
    rate_limits: RateLimits
    retry: Retry
    login: Literal["auto", "oauth2", "oauth2_basic", "authorize"] = "auto"
    login_url: str | None = Field(default=None, pattern=r"^https?://\S+$")
    stream: Stream = Stream()

    @field_validator("rest_base_url", "ws_url", "login_url", mode="before")
    @classmethod
    def _without_login(cls, url: Any) -> Any:
        """Addresses stand in logs and errors; before any other check, since those quote them."""
        if isinstance(url, str) and re.match(r"([^/?#]*//)?[^/?#]*@", url):
            raise ValueError(
                "holds a name or password before @; leave them out of the address: "
                "an API key belongs in CQ_CREDENTIALS__CLIENT_ID and CQ_CREDENTIALS__CLIENT_SECRET"
            )
        return url


class Partition(_Frozen):
    """Where the files of one dataset lie."""

    path: str
    keys: tuple[str, ...]

    @model_validator(mode="after")
    def _path_and_keys_agree(self) -> Partition:
        words = re.findall(r"{(.*?)}", self.path)
        if strange := [word for word in words if word not in TEMPLATE_WORDS]:
            raise ValueError(f"{{{strange[0]}}} is not one of {', '.join(TEMPLATE_WORDS)}")
        if not self.path.endswith(".parquet") or self.path.startswith("/"):
            raise ValueError(f"{self.path!r} must be a relative path that ends in .parquet")
        folder_words = set(re.findall(r"{(.*?)}", self.path.rpartition("/")[0])) - {"dataset"}
        if folder_words != set(self.keys):
            raise ValueError(
                f"keys {', '.join(self.keys)} differ from the path's folders "
                f"({', '.join(sorted(folder_words))})"
            )
        if "symbol" not in self.keys:
            raise ValueError("the path needs a {symbol} folder: locks and readers work by symbol")
        return self


class Compaction(_Frozen):
    """Which files are merged, and how large they become."""

    small_mb: float = Field(50, gt=0)
    large_mb: float = Field(200, gt=0)

    @model_validator(mode="after")
    def _small_below_large(self) -> Compaction:
        if self.small_mb > self.large_mb:
            raise ValueError(
                f"small_mb ({self.small_mb:g}) must not exceed large_mb ({self.large_mb:g})"
            )
        return self


class Retention(_Frozen):
    """How long things are kept; null is for ever."""

    quarantine_days: float | None = Field(30, gt=0)
    orderbook_days: float | None = Field(None, gt=0)


class FeesSince(_Frozen):
    """Other fees from a day on."""

    since: str = Field(description="first day, UTC, such as 2025-01-31")
    taker: float = Field(ge=0, lt=1)
    maker: float = Field(ge=0, lt=1)
    minimum: float | None = Field(
        None, ge=0, le=MUCH, description="null: that of the fees before any day"
    )

    @field_validator("since", mode="before")
    @classmethod
    def _a_day(cls, value: Any) -> Any:
        """YAML makes a date of what looks like one."""
        said = value.isoformat() if isinstance(value, date) else value
        if isinstance(said, str):
            try:
                parse_time(said)
            except UsageError as error:
                raise ValueError(str(error)) from None
        return said


class Fees(_Frozen):
    """What the exchange takes, as fractions of the traded notional."""

    taker: float = Field(ge=0, lt=1)
    maker: float = Field(ge=0, lt=1)
    minimum: float = Field(ge=0, le=MUCH)
    dated: tuple[FeesSince, ...] = ()

    @field_validator("dated")
    @classmethod
    def _one_after_the_other(cls, dated: tuple[FeesSince, ...]) -> tuple[FeesSince, ...]:
        days = [parse_time(one.since) for one in dated]
        if days != sorted(set(days)):
            raise ValueError("dated: days must come one after the other, the oldest first")
        return dated


LOOKED_AT: Final = {
    "fixed_bps": ("bps",),
    "half_spread": ("spread_bps", "spread_ticks"),
    "participation": ("bps", "participation"),
    "square_root": ("bps", "participation", "impact", "window"),
}
"""What each kind of slippage looks at."""


class Slippage(_Frozen):
    """How far a fill is from the bar's price, and how much of a bar's volume is to be had."""

    kind: Literal["fixed_bps", "half_spread", "participation", "square_root"]
    bps: float = Field(0.0, ge=0, lt=10_000)
    spread_bps: float = Field(0.0, ge=0, lt=10_000)
    spread_ticks: float = Field(0.0, ge=0)
    participation: float = Field(0.1, gt=0, le=1)
    impact: float = Field(1.0, ge=0)
    window: int = Field(24, ge=2, le=MANY_BARS)

    @property
    def by_volume(self) -> bool:
        """Whether a bar's volume limits what is filled there."""
        return self.kind in ("participation", "square_root")

    def unread(self, said: Collection[str]) -> tuple[str, str] | None:
        """One of the keys that were said which this kind does not look at, and the problem.

        Who lists every key, as configs/default.yaml does, asks for none of them.
        """
        if set(said) >= set(LOOKED_AT["square_root"] + LOOKED_AT["half_spread"]):
            return None
        for name in said:
            kinds = [kind for kind, keys in LOOKED_AT.items() if name in keys]
            if kinds and self.kind not in kinds:
                return name, (
                    f"slippage of the kind {self.kind} does not look at it; expected "
                    f"{', '.join(LOOKED_AT[self.kind])}, or kind: {' or '.join(kinds)}"
                )
        return None


class Caps(_Frozen):
    """The largest position and the largest sum of positions, as fractions of equity."""

    max_position: float = Field(gt=0)
    max_gross_exposure: float = Field(gt=0)

    @model_validator(mode="after")
    def _position_within_gross(self) -> Caps:
        if self.max_position > self.max_gross_exposure:
            raise ValueError(
                f"max_position ({self.max_position:g}) must not exceed "
                f"max_gross_exposure ({self.max_gross_exposure:g})"
            )
        return self


class Backtest(Caps):
    """How a simulated account trades."""

    cash: float = Field(gt=0, le=MUCH)
    fill: Literal["next_open", "next_close"]
    fees: Fees
    slippage: Slippage
    latency_bars: int = Field(0, ge=0, le=1_000)
    quantity_decimals: int | None = Field(ge=0, le=12)
    tick: float | None = Field(None, gt=0)
    min_notional: float = Field(ge=0)
    allow_short: bool = False
    borrow_rate: float = Field(0.0, ge=0)
    detail_interval: str | None = None
    profile: Literal["vectorbt", "backtesting_py", "freqtrade"] | None = None
    warmup: int | Literal["auto"]
    seed: int

    @field_validator("warmup")
    @classmethod
    def _warmup_is_a_count(cls, value: int | str) -> int | str:
        if isinstance(value, int) and value < 1:
            raise ValueError("warmup must be a number of bars above 0, or auto")
        return value

    @model_validator(mode="after")
    def _ticks_need_a_tick(self) -> Backtest:
        if self.slippage.kind == "half_spread" and self.slippage.spread_ticks and not self.tick:
            raise ValueError("slippage.spread_ticks needs `tick`, the step of a price")
        return self

    @model_validator(mode="after")
    def _shorts_are_borrowed(self) -> Backtest:
        if self.borrow_rate and not self.allow_short:
            raise ValueError("borrow_rate: nothing is borrowed without allow_short")
        return self

    @field_validator("detail_interval")
    @classmethod
    def _known_interval(cls, interval: str | None) -> str | None:
        if interval is not None:
            try:
                interval_ns(interval)
            except UsageError as error:
                raise ValueError(f"detail_interval: {error}") from None
        return interval


class Live(Caps):
    """How the live loop trades, and when it must not."""

    poll_interval_seconds: float = Field(gt=0)
    stale_after_bars: float = Field(gt=0)
    max_daily_loss: float | None = Field(gt=0, le=1)
    price_band_bps: float = Field(gt=0)
    journal: FilePath


class Thresholds(_Frozen):
    """From where on a check finds something; each is a variable that the check's SQL reads."""

    late_intervals: float = Field(3, gt=0)
    late_landing_hours: float = Field(24, gt=0)
    outlier_floor: float = Field(0.1, gt=0)
    outlier_z: float = Field(20, gt=0)
    spike_floor: float = Field(0.1, gt=0)
    spike_z: float = Field(20, gt=0)
    repeated_bars: int = Field(10, ge=3)
    frozen_bars: int = Field(240, ge=120)
    shifted_bars: int = Field(3, ge=1)
    volume_break: float = Field(20, ge=2)
    trade_tolerance: float = Field(1e-9, ge=0, lt=1)


class Quality(_Frozen):
    """How bad what a check finds is, and from where on it finds something."""

    severities: dict[str, Severity] = Field({})
    thresholds: Thresholds = Thresholds()


class Credentials(_Frozen):
    """The exchange's API key; from the environment only."""

    client_id: SecretStr | None = None
    client_secret: SecretStr | None = None


class Settings(_Frozen):
    """Everything that can be set, merged and checked; its repr holds no secret."""

    env: Literal["dev", "test", "prod"]
    timezone: str
    data_root: Path | str
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"]
    log_file: FilePath | None
    paper_trading: bool
    symbols: tuple[str, ...]
    quote: str = Field(pattern=r"^[A-Z0-9]+$")
    exclusions: tuple[str, ...]
    ingestion: Ingestion
    partitions: dict[str, Partition]
    compaction: Compaction = Compaction()
    retention: Retention = Retention()
    backtest: Backtest
    live: Live
    quality: Quality = Quality()
    credentials: Credentials = Credentials()

    @field_validator("symbols", "exclusions", mode="before")
    @classmethod
    def _comma_separated(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(one.strip() for one in value.split(",") if one.strip())
        return value

    @field_validator("symbols", "exclusions")
    @classmethod
    def _symbol_form(cls, symbols: tuple[str, ...]) -> tuple[str, ...]:
        for symbol in symbols:
            base, dash, quote = symbol.partition("-")
            if not (dash and base and quote and symbol == symbol.upper()):
                raise ValueError(f"{symbol!r} is not a symbol; expected BASE-QUOTE such as BTC-BRL")
        return symbols

    @field_validator("data_root", mode="before")
    @classmethod
    def _folder_or_address(cls, value: object) -> object:
        """A folder's path, unless it is an address on S3-compatible storage."""
        value = _path(value, "a folder, or s3://bucket/prefix")
        if not isinstance(value, str) or value.startswith("s3://"):
            return value
        folder = value.removeprefix("file://")
        if "://" in folder:
            raise ValueError(f"{value}: expected a folder, or s3://bucket/prefix")
        return Path(folder)

    @field_validator("timezone")
    @classmethod
    def _known_timezone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(
                f"{name!r} is not a time zone; expected UTC, America/Sao_Paulo, …"
            ) from None
        return name

    @field_validator("partitions")
    @classmethod
    def _every_dataset(cls, partitions: dict[str, Partition]) -> dict[str, Partition]:
        for name in partitions:
            if name not in DATASETS:
                raise ValueError(f"{name!r} is not a dataset; there is {', '.join(DATASETS)}")
        return partitions
