"""What each metric is, as data: printed by `cq metrics` and by reports, held to the code by tests.

A value without meaning (no trade, too few days, nothing that varies) is null everywhere.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

Unit = Literal["fraction", "ratio", "quote", "days", "count", "a year"]
"""A fraction is shown as a percentage; `quote` is money, in the quote currency."""


class Metric(NamedTuple):
    """One number: its key in metrics.json, what people call it, and how it is come by."""

    name: str
    label: str
    unit: Unit
    formula: str
    convention: str
    source: str

    @property
    def definition(self) -> str:
        """Formula and convention in one line."""
        return f"{self.formula}; {self.convention}" if self.convention else self.formula


BARS: Final = "equity of each bar"
DAYS: Final = "equity of each day"
FILLS: Final = "fills"
TRIPS: Final = "round trips"
HOLD: Final = "equity of each day, and of buy and hold"
EQUAL: Final = "equity of each day, and of equal weights"
RUNS: Final = "equity of each day, and the view runs"

NET: Final = "after fees"
SIMPLE: Final = "no risk-free rate"

METRICS: Final[tuple[Metric, ...]] = (
    Metric(
        "total_return", "total return", "fraction", "last equity / starting cash − 1", "", BARS,
    ),
    Metric(
        "buy_and_hold", "buy and hold", "fraction",
        "total return of the same cash split evenly at each symbol's first open in the period, "
        "then held", "without costs", "bars",
    ),
    Metric(
        "equal_weight", "equal weight", "fraction",
        "total return of the same cash in equal parts of all symbols, made equal again at the end "
        "of each day", "without costs; the part of a symbol that has no bar yet is cash", "bars",
    ),
    Metric(
        "annualized_return", "annualized return", "fraction",
        "(1 + total return)^(1 / years) − 1",
        "years of 365 days, from the first bar's open to the last bar's close", BARS,
    ),
    Metric(
        "cagr", "compound annual growth", "fraction", "annualized return",
        "the name under which others know it", BARS,
    ),
    Metric(
        "volatility", "volatility a year", "fraction",
        "sample deviation of day returns × √365", "", DAYS,
    ),
    Metric(
        "sharpe", "Sharpe ratio", "ratio",
        "mean / sample deviation of the returns of one bar, times √(bars a year)",
        "no risk-free rate; a missing bar, or one before which nothing was left, is a bar without "
        "a move", BARS,
    ),
    Metric(
        "sharpe_daily", "Sharpe ratio of days", "ratio",
        "mean / sample deviation of day returns, times √365", SIMPLE, DAYS,
    ),
    Metric(
        "sortino", "Sortino ratio", "ratio",
        "mean of day returns / √(mean of min(day return, 0)²), times √365",
        "target 0; the mean is over all days", DAYS,
    ),
    Metric(
        "calmar", "Calmar ratio", "ratio", "annualized return / |max drawdown|",
        "over the whole period", BARS,
    ),
    Metric(
        "omega", "Omega ratio", "ratio",
        "sum of day returns above 0 / sum of those below, as a positive number", "threshold 0",
        DAYS,
    ),
    Metric(
        "max_dd", "max drawdown", "fraction",
        "deepest fall of equity below its highest point so far", "a negative fraction", BARS,
    ),
    Metric(
        "max_dd_days", "longest drawdown", "days",
        "days from a high to the day that makes up for it, or to the end", "the longest", DAYS,
    ),
    Metric(
        "avg_dd", "average drawdown", "fraction", "mean depth of all falls",
        "a negative fraction; each fall once, by its deepest day", DAYS,
    ),
    Metric(
        "avg_dd_days", "average drawdown length", "days", "mean length of all falls",
        "as of the longest", DAYS,
    ),
    Metric(
        "drawdowns", "drawdowns", "count", "number of falls below an earlier high", "", DAYS,
    ),
    Metric(
        "underwater", "time under water", "fraction", "share of days below an earlier high", "",
        DAYS,
    ),
    Metric(
        "ulcer", "Ulcer index", "fraction", "√(mean of squared drawdowns of all days)",
        "days at a high count 0", DAYS,
    ),
    Metric(
        "martin", "Martin ratio", "ratio", "annualized return / Ulcer index", SIMPLE, DAYS,
    ),
    Metric(
        "var_95", "value at risk", "fraction", "5 % quantile of day returns",
        "historical, interpolated; from 20 days on; a loss is negative", DAYS,
    ),
    Metric(
        "cvar_95", "expected shortfall", "fraction",
        "mean of the day returns that are not above the value at risk",
        "historical; from 20 days on", DAYS,
    ),
    Metric(
        "tail_ratio", "tail ratio", "ratio", "95 % quantile of day returns / |5 % quantile|",
        "from 20 days on", DAYS,
    ),
    Metric(
        "skewness", "skewness", "ratio", "third central moment / second^1.5 of day returns",
        "population moments", DAYS,
    ),
    Metric(
        "kurtosis", "kurtosis", "ratio", "fourth central moment / second² of day returns",
        "population moments; 3 is that of a normal distribution", DAYS,
    ),
    Metric("best_day", "best day", "fraction", "highest day return", "", DAYS),
    Metric("worst_day", "worst day", "fraction", "lowest day return", "", DAYS),
    Metric("positive_days", "positive days", "fraction", "share of day returns above 0", "", DAYS),
    Metric(
        "hit_rate", "hit rate", "fraction", "share of closed round trips that made money",
        "after fees; a round trip lasts from the first fill until nothing is held, or until a fill "
        "turns what is held to the other side, and begins the next one there",
        TRIPS,
    ),
    Metric(
        "payoff", "payoff", "ratio",
        "mean gain of winning round trips / mean loss of losing ones", NET, TRIPS,
    ),
    Metric(
        "profit_factor", "profit factor", "ratio",
        "sum of the gains of round trips / sum of the losses", NET, TRIPS,
    ),
    Metric(
        "expectancy", "expectancy", "quote", "mean profit of a closed round trip", NET, TRIPS,
    ),
    Metric(
        "sqn", "system quality number", "ratio",
        "√(round trips) × mean profit / sample deviation of profits",
        "not capped at 100 round trips", TRIPS,
    ),
    Metric(
        "win_streak", "longest winning streak", "count",
        "most closed round trips in a row that made money", "in the order in which they closed",
        TRIPS,
    ),
    Metric(
        "loss_streak", "longest losing streak", "count",
        "most closed round trips in a row that made none", "in the order in which they closed",
        TRIPS,
    ),
    Metric("best_trip", "best round trip", "quote", "highest profit of a round trip", NET, TRIPS),
    Metric("worst_trip", "worst round trip", "quote", "lowest profit of a round trip", NET, TRIPS),
    Metric(
        "holding_days", "days held", "days", "mean time from a round trip's first fill to its last",
        "", TRIPS,
    ),
    Metric("trades", "trades", "count", "number of fills", "", FILLS),
    Metric("round_trips", "round trips", "count", "number of closed round trips", "", TRIPS),
    Metric(
        "turnover", "turnover a year", "a year", "value bought and sold / mean equity / years", "",
        FILLS,
    ),
    Metric("fees", "fees", "quote", "fees paid", "", FILLS),
    Metric(
        "slippage", "slippage", "quote", "what fills cost against the bar's price", "", FILLS,
    ),
    Metric(
        "costs", "costs", "fraction", "(fees + slippage) / starting cash", "", FILLS,
    ),
    Metric(
        "exposure", "exposure", "fraction", "mean share of equity that was invested",
        "0 where equity is not above zero", BARS,
    ),
    Metric(
        "time_in_market", "time in the market", "fraction",
        "share of bars at whose close something was held", "", BARS,
    ),
    Metric(
        "beta_hold", "beta to buy and hold", "ratio",
        "covariance of day returns with those of buy and hold / variance of those", "", HOLD,
    ),
    Metric(
        "alpha_hold", "alpha to buy and hold", "fraction",
        "(mean day return − beta × mean day return of buy and hold) × 365",
        "not compounded; no risk-free rate", HOLD,
    ),
    Metric(
        "information_hold", "information ratio to buy and hold", "ratio",
        "mean / sample deviation of day returns less those of buy and hold, times √365", "", HOLD,
    ),
    Metric(
        "beta_equal", "beta to equal weight", "ratio",
        "covariance of day returns with those of equal weight / variance of those", "", EQUAL,
    ),
    Metric(
        "alpha_equal", "alpha to equal weight", "fraction",
        "(mean day return − beta × mean day return of equal weight) × 365",
        "not compounded; no risk-free rate", EQUAL,
    ),
    Metric(
        "information_equal", "information ratio to equal weight", "ratio",
        "mean / sample deviation of day returns less those of equal weight, times √365", "", EQUAL,
    ),
    Metric(
        "psr", "probabilistic Sharpe ratio", "fraction",
        "Φ(SR √(days − 1) / √(1 − γ₃ SR + (γ₄ − 1)/4 SR²))",
        "probability that the true Sharpe ratio is above 0; SR, skewness γ₃ and kurtosis γ₄ are "
        "of day returns (Bailey and López de Prado 2012)", DAYS,
    ),
    Metric(
        "min_track_record", "minimum track record", "days",
        "1 + (1 − γ₃ SR + (γ₄ − 1)/4 SR²) (Φ⁻¹(0.95) / SR)²",
        "days that it takes to believe the Sharpe ratio with 95 %; none where it is not above 0",
        DAYS,
    ),
)  # fmt: skip
"""Every number of metrics.json, in the order in which it stands there."""

LUCK: Final[tuple[Metric, ...]] = (
    Metric(
        "trials", "trials", "count",
        "sets of parameters, caps, symbols, interval with which this strategy stands in the runs",
        "the same kind, or your own Python file; this run included, each set once, whatever its "
        "period, costs and name", "the view runs",
    ),
    Metric(
        "dsr", "deflated Sharpe ratio", "fraction",
        "the probabilistic Sharpe ratio against "
        "SR* = √V ((1 − γ) Φ⁻¹(1 − 1/N) + γ Φ⁻¹(1 − 1/(N e)))",
        "N trials, V the variance of their Sharpe ratios of a day, γ Euler's constant: the chance "
        "that the best of N is more than luck (Bailey and López de Prado 2014)", RUNS,
    ),
)  # fmt: skip
"""What depends on the other runs, and so stands in run.json."""

BY_NAME: Final = {one.name: one for one in (*METRICS, *LUCK)}
DEFINITIONS: Final[dict[str, str]] = {one.name: one.definition for one in METRICS}
"""Name → definition, in the order of METRICS."""
