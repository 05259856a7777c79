import math
import sys

import numpy as np
import polars as pl
import pytest
from makers import HOUR, hourly
from polars.testing import assert_series_equal

from cq.errors import DataError, UsageError
from cq.features import Pipeline
from cq.features.gate import Gate, GateConfig, load, save, trained
from cq.utils.time import DAY

CONFIG = GateConfig(
    label={"use": "direction", "horizon": 4},
    train_bars=400,
    every_bars=100,
    least_rows=50,
    learn_from="all",
)
PIPELINE = Pipeline.of({"move": {"use": "log_return", "bars": 1}}, "1h")


def bars(count=900, seed=1):
    """A market in which a move goes on: what a classifier can learn."""
    random, moves = np.random.default_rng(seed), [0.0]
    for noise in random.normal(0, 0.01, count - 1):
        moves.append(0.9 * moves[-1] + noise)
    return hourly("A-B", (100 * np.exp(np.cumsum(moves) / 10)).tolist())


def rows(of=None):
    return PIPELINE.apply((bars() if of is None else of).lazy()).with_columns(signal=1).collect()


def gate(config=CONFIG, of=None):
    return trained(rows(of), config, PIPELINE.columns, "1h")


def test_models_begin_at_fixed_instants_and_have_seen_only_what_was_known_then():
    found = gate()
    assert [one.since for one in found.models] == [h * HOUR for h in range(100, 901, 100)]
    for one in found.models:
        assert one.known_ts <= one.since
        assert one.first_ts >= one.since - 400 * HOUR
        assert one.last_ts + 5 * HOUR <= one.since  # a bar and a horizon of four


def test_an_embargo_keeps_further_away():
    config = CONFIG.model_copy(update={"embargo_bars": 24})
    assert all(one.known_ts <= one.since - DAY for one in gate(config).models)


@pytest.mark.parametrize(("hours", "models"), [(640, 6), (600, 6), (599, 5)])
def test_what_comes_later_changes_no_model_and_no_signal(hours, models):
    early = bars().head(hours)
    short, long = gate(of=early), gate()
    assert [one.as_dict() for one in short.models] == [
        one.as_dict() for one in long.models[:models]
    ]
    assert_series_equal(short.through(rows(early)), long.through(rows()).head(hours))


def test_one_row_at_a_time_passes_as_all_of_them_do():
    found, all_rows = gate(), rows()
    whole = found.through(all_rows)
    for at in (3, 99, 100, 350, 899):
        assert_series_equal(found.through(all_rows.slice(at, 1)), whole.slice(at, 1))


def test_signals_pass_where_the_model_says_yes():
    found = gate()
    chance, passed = found.chances(rows()), found.through(rows()).to_list()
    assert passed[:100] == [None] * 100
    assert {p for p, c in zip(passed, chance, strict=True) if c >= 0.5} == {1}
    assert {p for p, c in zip(passed, chance, strict=True) if c < 0.5} == {0}
    right = rows()["close"].shift(-4) > rows()["close"]
    agree = [p == r for p, r in zip(passed[100:-4], right[100:-4], strict=True)]
    assert np.mean(agree) > 0.6


def test_a_signal_of_nothing_stays_and_a_feature_without_a_value_decides_nothing():
    flat = rows().with_columns(signal=0)
    assert set(gate().through(flat)) == {0}
    holed = rows().with_columns(move=pl.lit(None, pl.Float64))
    assert gate().through(holed).null_count() == holed.height


def test_a_higher_threshold_lets_less_through():
    def through(threshold):
        return gate(CONFIG.model_copy(update={"threshold": threshold})).through(rows()).sum()

    assert through(0.4) > through(0.5) > through(0.6)


def test_learning_from_signals_takes_only_rows_that_have_one():
    some = rows().with_columns(signal=(pl.int_range(pl.len()) % 2).cast(pl.Int8))
    config = CONFIG.model_copy(update={"learn_from": "signals"})
    found = trained(some, config, PIPELINE.columns, "1h")
    assert 170 < max(one.rows for one in found.models) <= 200


def test_a_saved_gate_is_the_same_gate(tmp_path):
    save(gate(), tmp_path / "gate.joblib")
    again = load(tmp_path / "gate.joblib")
    assert isinstance(again, Gate)
    assert_series_equal(again.through(rows()), gate().through(rows()))


def test_a_file_that_is_no_gate_is_refused(tmp_path):
    (tmp_path / "gate.joblib").write_text("nothing")
    with pytest.raises(UsageError, match="is no gate that a run has saved"):
        load(tmp_path / "gate.joblib")


def test_a_random_model_is_seeded():
    config = CONFIG.model_copy(
        update={
            "model": ({"sklearn.ensemble.RandomForestClassifier": {"n_estimators": 5}},),
            "every_bars": 400,
        }
    )
    assert_series_equal(gate(config).through(rows()), gate(config).through(rows()))


def test_too_few_rows_to_learn_from_are_said():
    with pytest.raises(DataError, match="no training of the gate has 50 rows"):
        gate(of=bars(40))


@pytest.mark.parametrize(
    "move",
    [
        pl.lit(float("nan")),
        pl.when(pl.col("close").diff(-4) < 0).then("move").otherwise(math.inf),  # one class left
    ],
)
def test_rows_without_a_number_in_each_input_teach_nothing(move):
    with pytest.raises(DataError, match=r"no training of the gate has 50 rows with .* every input"):
        trained(rows().with_columns(move=move), CONFIG, PIPELINE.columns, "1h")


def test_without_scikit_learn_it_is_said_what_to_install(monkeypatch, tmp_path):
    save(gate(), tmp_path / "gate.joblib")
    for name in [one for one in sys.modules if one.partition(".")[0] == "sklearn"]:
        monkeypatch.setitem(sys.modules, name, None)
    for use in (gate, lambda: load(tmp_path / "gate.joblib")):
        with pytest.raises(UsageError, match="a gate needs scikit-learn; install it with `pip"):
            use()


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (("sklearn.linear_model.LogisticRegresion",), "there is no sklearn.linear_model.Logistic"),
        (({"sklearn.linear_model.LogisticRegression": {"D": 1}},), "LogisticRegression: .*'D'"),
        (("sklearn.linear_model.RidgeClassifier",), "gives no probabilities"),
        (
            ({"sklearn.linear_model.LogisticRegression": {"C": -1}},),
            "gate.model cannot be trained: The 'C' parameter",
        ),
    ],
)
def test_a_model_that_there_is_not_is_said(model, said):
    with pytest.raises(UsageError, match=said):
        gate(CONFIG.model_copy(update={"model": model}))


@pytest.mark.parametrize(
    "value",
    [
        {"model": "os.system"},
        {"model": [{"a": 1, "b": 2}]},
        {"label": {"use": "rsi"}},
        {"label": {"use": "direction", "horizon": 5, "above": "x"}},
        {"label": {"use": "direction", "horizon": "abc"}},
        {"label": {"use": "direction", "horizon": 2.5}},
        {"label": {"use": "direction", "up": 0.1}},
        {"threshold": 2},
        {"trane_bars": 3},
    ],
)
def test_a_configuration_that_cannot_be_is_refused(value):
    with pytest.raises(ValueError):  # noqa: PT011
        GateConfig.model_validate(value)
