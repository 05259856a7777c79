"""Every setting as a frozen, checked value; what each one means stands in configs/default.yaml."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator

from cq.utils.models import FilePath, Frozen, path_said
from cq.utils.trading_settings import Backtest, Live

DATASETS = (
    *("ohlcv", "trades", "orderbook_l2", "orders", "fills"),
    *("coverage", "rejected", "lost"),
)
TEMPLATE_WORDS = ("dataset", "exchange", "symbol", "interval", "YYYY", "MM", "DD", "HHmmss")

Severity = Annotated[  # YAML reads `off` as false
    Literal["off", "info", "warn", "error"], BeforeValidator(lambda x: "off" if x is False else x)
]


class RateLimits(Frozen):
    """How often the exchange may be asked."""

    requests_per_minute: float = Field(gt=0)
    requests_per_second: float = Field(gt=0)


class Retry(Frozen):
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


class Backoff(Frozen):
    """How long to wait before a stream connects again."""

    base_ms: float = Field(500.0, gt=0)
    cap_ms: float = Field(30_000.0, gt=0)
    jitter: float = Field(0.2, ge=0, lt=1)

    @model_validator(mode="after")
    def _base_within_cap(self) -> Backoff:
        if self.base_ms > self.cap_ms:
            raise ValueError(f"base_ms ({self.base_ms:g}) must not exceed cap_ms ({self.cap_ms:g})")
        return self


class Stream(Frozen):
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


class Ingestion(Frozen):
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


class Partition(Frozen):
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


class Compaction(Frozen):
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


class Retention(Frozen):
    """How long things are kept; null is for ever."""

    quarantine_days: float | None = Field(30, gt=0)
    orderbook_days: float | None = Field(None, gt=0)


class Thresholds(Frozen):
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


class Quality(Frozen):
    """How bad what a check finds is, and from where on it finds something."""

    severities: dict[str, Severity] = Field({})
    thresholds: Thresholds = Thresholds()


class Credentials(Frozen):
    """The exchange's API key; from the environment only."""

    client_id: SecretStr | None = None
    client_secret: SecretStr | None = None


class Settings(Frozen):
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
        value = path_said(value, "a folder, or s3://bucket/prefix")
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
