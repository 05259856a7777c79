"""A gate of learning: a classifier lets a strategy's signals through, or not.

Trained walk-forward: time is cut at fixed instants (multiples of `every_bars` since 1970), and the
model for the bars after such an instant has seen only rows whose label was known by then, less an
embargo. So the same bars give the same models, wherever history ends.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import polars as pl
from pydantic import ConfigDict, Field, field_validator

from cq.errors import DataError, NoSuchFile, UsageError
from cq.features.labels import LABELS, check_label, label_parameters, with_label
from cq.utils.models import PlainNumbers
from cq.utils.time import interval_ns, iso

if TYPE_CHECKING:
    import numpy.typing as npt

DIGITS: Final = 9
"""Probabilities are rounded to so many decimals: the last bits may depend on how many rows there
are, and nothing may hang on them."""
MISSING: Final = "a gate needs scikit-learn; install it with `pip install scikit-learn`"


class GateConfig(PlainNumbers):
    """Which classifier, on what, trained how; the rows it learns from have a signal."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    model: tuple[Any, ...] = Field(
        ("sklearn.preprocessing.StandardScaler", "sklearn.linear_model.LogisticRegression"),
        description="steps of a scikit-learn pipeline: a class, or {class: {parameter: value}}",
    )
    inputs: tuple[str, ...] = Field((), description="features it sees; default: all of them")
    label: dict[str, Any] = Field(
        {"use": "direction", "horizon": 24}, description="what it learns: see docs/features.md"
    )
    train_bars: int = Field(4320, gt=0, description="bars of history that a training looks at")
    every_bars: int = Field(720, gt=0, description="bars between two trainings")
    embargo_bars: int = Field(0, ge=0, description="bars left out before each training's instant")
    least_rows: int = Field(200, ge=10, description="with fewer rows there is no model yet")
    learn_from: Literal["signals", "all"] = Field(
        "signals", description="rows to learn from: those with a signal that is not 0, or all"
    )
    threshold: float = Field(
        0.5, ge=0, le=1, description="a signal passes from this probability on"
    )
    seed: int = Field(0, ge=0, description="of everything random in the model")
    trained: Path | None = Field(
        None, description="a gate that a run has saved (gate.joblib), instead of training one"
    )

    @field_validator("model", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return (value,) if isinstance(value, (str, Mapping)) else value

    @field_validator("model")
    @classmethod
    def _only_scikit_learn(cls, steps: tuple[Any, ...]) -> tuple[Any, ...]:
        for one in steps:
            name = next(iter(one), None) if isinstance(one, Mapping) and len(one) == 1 else one
            if not (isinstance(name, str) and name.startswith("sklearn.")):
                raise ValueError(
                    f"{one!r} is no step; expected a class such as "
                    "sklearn.linear_model.LogisticRegression, or {class: {parameter: value}}"
                )
        return steps

    @field_validator("label")
    @classmethod
    def _known_label(cls, label: dict[str, Any]) -> dict[str, Any]:
        if label.get("use") not in LABELS:
            raise ValueError(f"use: {label.get('use')!r}; there is {', '.join(LABELS)}")
        try:
            check_label(label["use"], {name: label[name] for name in label if name != "use"})
        except UsageError as error:
            raise ValueError(str(error)) from None
        return label

    @property
    def label_in_full(self) -> dict[str, Any]:
        """The label with every parameter, those that nobody named as well."""
        return {**label_parameters(self.label["use"]), **self.label}

    @property
    def horizon(self) -> int:
        """Bars after which a label is known."""
        return int(self.label_in_full["horizon"])


@dataclass(frozen=True)
class Trained:
    """A model, the instant from which it decides, and what it has learned from."""

    since: int
    model: Any
    rows: int
    first_ts: int
    last_ts: int
    known_ts: int
    digest: str

    def as_dict(self) -> dict[str, Any]:
        """For JSON: everything but the model itself."""
        return {
            "since": iso(self.since),
            "rows": self.rows,
            "first": iso(self.first_ts),
            "last": iso(self.last_ts),
            "labels_known": iso(self.known_ts),
            "digest": self.digest,
        }


@dataclass(frozen=True)
class Gate:
    """Models in order of time; each decides from its instant to the next one's.

    `learned_on` is what its rows came from, by the keys of a strategy's file; None where a file of
    an older version does not say.
    """

    inputs: tuple[str, ...]
    threshold: float
    models: tuple[Trained, ...]
    learned_on: Mapping[str, str] | None = None

    def through(self, rows: pl.DataFrame) -> pl.Series:
        """The signals that pass: as they are, 0 where the model says no, null where none is yet.

        A signal of 0 stays 0; where a feature has no value nothing is decided.
        """
        signal = rows["signal"].to_numpy()
        chance = self.chances(rows)
        passed = np.where((signal == 0) | (chance >= self.threshold), signal, 0.0)
        decided = np.where(np.isnan(chance) & ~(signal == 0), np.nan, passed)
        return pl.Series("signal", decided).fill_nan(None).cast(pl.Int8)

    def chances(self, rows: pl.DataFrame) -> npt.NDArray[np.float64]:
        """The probability that each row's label is 1; NaN where no model can say."""
        found = np.full(rows.height, np.nan)
        if not self.models or not rows.height:
            return found
        ts = rows["ts"].to_numpy()
        x = _matrix(rows, self.inputs)
        starts = np.array([one.since for one in self.models])
        which = np.searchsorted(starts, ts, side="right") - 1
        for number in np.unique(which[which >= 0]).tolist():
            mine = (which == number) & np.isfinite(x).all(axis=1)
            if mine.any():
                found[mine] = _chance(self.models[number].model, x[mine])
        return np.round(found, DIGITS)


def trained(
    rows: pl.DataFrame,
    config: GateConfig,
    features: Sequence[str],
    interval: str,
    since: int | None = None,
) -> Gate:
    """The gate that walking forward over `rows` gives.

    `rows` have the bars, the features and the strategy's raw `signal`. Models that decide nothing
    from `since` on are left out. DataError where no training has enough rows.
    """
    inputs = config.inputs or tuple(features)
    if not inputs:
        raise UsageError("a gate needs features to look at; name some under `features`")
    labelled = with_label(rows.lazy(), interval, **config.label).collect()
    models = list(_walk(labelled, config, inputs, interval, since))
    if not models:
        raise DataError(
            f"no training of the gate has {config.least_rows} rows with a signal, a label (of "
            "either kind) and a number in every input; take a longer period, or lower "
            "gate.least_rows, or say gate.learn_from: all"
        )
    return Gate(inputs, config.threshold, tuple(models))


def _walk(
    rows: pl.DataFrame,
    config: GateConfig,
    inputs: Sequence[str],
    interval: str,
    from_ts: int | None,
) -> Iterator[Trained]:
    step = interval_ns(interval)
    width, reach = config.every_bars * step, config.train_bars * step
    usable = rows.filter(
        pl.col("label").is_not_null(),
        *(pl.col(name).cast(pl.Float64).is_finite() for name in inputs),
        pl.lit(value=True) if config.learn_from == "all" else pl.col("signal") != 0,
    ).sort("ts", "symbol")
    if usable.is_empty():
        return
    first, last = int(rows["ts"].min() or 0), int(rows["ts"].max() or 0)  # type: ignore[arg-type]
    begin = -(-first // width) * width
    if from_ts is not None:
        begin = max(begin, from_ts // width * width)
    for since in range(begin, last + step + 1, width):  # all that a model may learn from is there
        known = since - config.embargo_bars * step
        past = usable.filter(pl.col("ts") >= since - reach, pl.col("label_end_ts") <= known)
        if past.height < config.least_rows or past["label"].n_unique() < 2:
            continue
        yield _fitted(past, config, inputs, since)


def _fitted(past: pl.DataFrame, config: GateConfig, inputs: Sequence[str], since: int) -> Trained:
    x, y = _matrix(past, inputs), past["label"].to_numpy()
    model = _pipeline(config)
    try:
        model.fit(x, y)
    except (TypeError, ValueError) as error:
        said = str(error).partition("\n")[0]
        raise UsageError(f"gate.model cannot be trained: {said}") from error
    hashed = hashlib.sha256(x.data)
    hashed.update(np.ascontiguousarray(y).data)
    ts = past["ts"]
    return Trained(
        since,
        model,
        past.height,
        int(ts[0]),
        int(ts[-1]),
        int(past["label_end_ts"].max() or 0),  # type: ignore[arg-type]
        hashed.hexdigest()[:16],
    )


def _matrix(rows: pl.DataFrame, inputs: Sequence[str]) -> npt.NDArray[np.float64]:
    absent = [name for name in inputs if name not in rows.columns]
    if absent:
        raise UsageError(
            f"gate.inputs: no column {absent[0]!r}; there is {', '.join(rows.columns)}"
        )
    columns = rows.select(pl.col(name).cast(pl.Float64).fill_null(float("nan")) for name in inputs)
    return np.ascontiguousarray(columns.to_numpy())


def _chance(model: Any, x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    place = list(model.classes_).index(1)
    found: npt.NDArray[np.float64] = model.predict_proba(x)[:, place]
    return found


def _pipeline(config: GateConfig) -> Any:
    """The scikit-learn pipeline that the configuration names, seeded."""
    try:
        from sklearn.pipeline import make_pipeline
    except ImportError:
        raise UsageError(MISSING) from None
    made = make_pipeline(*(_step(one) for one in config.model))
    seeds = {name: config.seed for name in made.get_params() if name.endswith("__random_state")}
    made.set_params(**seeds)
    if not hasattr(made, "predict_proba"):
        raise UsageError(f"gate.model: {config.model[-1]} gives no probabilities; take another")
    return made


def _step(one: Any) -> Any:
    name, parameters = next(iter(one.items())) if isinstance(one, Mapping) else (one, {})
    module, _, kind = name.rpartition(".")
    try:
        return getattr(import_module(module), kind)(**(parameters or {}))
    except (ImportError, AttributeError):
        raise UsageError(f"gate.model: there is no {name} in scikit-learn") from None
    except (TypeError, ValueError) as error:
        raise UsageError(f"gate.model: {name}: {error}") from None


def save(gate: Gate, path: Path) -> None:
    """Keep a gate, with the versions it needs, for `gate.trained` and live trading."""
    import joblib

    joblib.dump(gate, path)


def load(path: Path) -> Gate:
    """A gate that a run has saved; UsageError for a file that is none."""
    if not path.exists():
        raise NoSuchFile(path)
    try:
        import joblib

        found = joblib.load(path)
    except ImportError:
        raise UsageError(MISSING) from None
    except Exception as error:
        raise UsageError(f"{path} is no gate that a run has saved ({error})") from None
    if not isinstance(found, Gate):
        raise UsageError(f"{path} is no gate that a run has saved")
    return found
