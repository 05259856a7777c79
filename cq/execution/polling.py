"""Live paper: look for new bars, step through them, wait, look again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from cq.backtest.account import Fill
from cq.backtest.bars import Period, bars_of
from cq.errors import ExchangeError, LakeBusy, Transient, UsageError
from cq.exchanges.pages import settled
from cq.execution.loop import Look, Stepped, Trader, Wish
from cq.execution.replay import moments
from cq.execution.session import described, opened
from cq.execution.start import Setup
from cq.execution.stopping import Stopped
from cq.execution.windows import Windows
from cq.ingest import backfill
from cq.lake import collected
from cq.lake.resample import closing
from cq.strategies import Strategy, once_each, with_quote
from cq.utils.clock import stopwatch
from cq.utils.time import SECOND, bar_end, interval_ns

if TYPE_CHECKING:
    from cq.exchanges import MarketData
    from cq.lake import Lake


NOTHING = {"symbol": pl.String}
"""The shape of no bars at all."""

SETTLED_S = 2
"""So long after its end a bar is known to be over: the exchange tells its time in seconds."""


@dataclass(frozen=True)
class Polled:
    """What one look brought: steps over closed bars, fills at bars in progress, what is stale.

    `unanswered` are the symbols that were left out since their bars could not be had, and why.
    """

    now_ns: int
    steps: Sequence[Stepped] = ()
    fills: Sequence[Fill] = ()
    stale: Mapping[str, str] = field(default_factory=dict)
    unanswered: Mapping[str, ExchangeError | LakeBusy] = field(default_factory=dict)
    failed: str = ""


class Poller:
    """Brings the exchange's newest bars into the lake and through the trader's step.

    The tail that the strategy looks at stays in memory; a poll reads only what is newer.
    """

    def __init__(
        self,
        make_trader: Callable[[Look], Trader],
        strategy: Strategy,
        symbols: Collection[str],
        lake: Lake,
        market: MarketData,
        *,
        page_bars: int = 1000,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.trader = make_trader(self._look)
        self._stop = stop
        self.strategy, self.symbols = strategy, sorted(symbols)
        self.lake, self.market, self.page_bars = lake, market, page_bars
        self._length = interval_ns(strategy.config.interval)
        self._windows: Windows | None = None
        self._earlier = backfill.Earlier()

    def _look(self, ts: int, symbols: Collection[str]) -> Mapping[str, Wish]:
        assert self._windows is not None, "look only after bars were read"
        return self._windows.wishes(ts, symbols)

    def poll(self, clock: Callable[[], int]) -> Polled:
        """One look: fetch, step through bars that closed since the last one, fill what waits.

        Bars have closed, or not, as the look begins; how old they are is judged once they are
        here, which may be long after. `clock` is the local one.

        Nobody is asked while no bar can have closed and nothing waits. A symbol whose bars cannot
        be had is left out and said; all others go on.
        """
        begun_ns = clock()
        now_ns = self.market.time_ns(begun_ns)
        if not self._due(now_ns):
            return Polled(now_ns, stale=self.trader.watch(self.symbols, now_ns))
        interval = self.strategy.config.interval
        found = backfill.newest(
            self.market,
            self.lake,
            self.symbols,
            interval,
            begun_ns,
            bars=self._reach(now_ns),
            page_bars=self.page_bars,
            earlier=self._earlier,
        )
        self._refuse_to_guess(found.failed)
        answered = [one for one in self.symbols if one not in found.failed]
        windows = self._read(answered, found.clock_ns)
        self._learn(found.reports, windows.newest())
        now_ns = self.market.time_ns(clock())
        steps = self._catch_up(windows, answered, now_ns)
        fills: list[Fill] = []
        for ts in sorted({ts for ts, _ in found.forming.values()}):
            opens = {symbol: at for symbol, (when, at) in found.forming.items() if when == ts}
            fills += self.trader.fill_forming(ts, opens, now_ns)
        self.trader.tell_unanswered({one: str(error) for one, error in found.failed.items()})
        stale = self.trader.watch(self.symbols, now_ns)
        return Polled(now_ns, steps, fills, stale, found.failed)

    def _learn(self, reports: Sequence[backfill.Ingested], newest: Mapping[str, int]) -> None:
        """Keep in mind, and say once, from when on the exchange keeps bars.

        Where no bar has come behind it, it may keep them all the same, and is asked again.
        """
        kept_from = dict(self._earlier.kept_from)
        for one in reports:
            if one.unkept and one.unkept[-1][1] <= newest.get(one.symbol, 0):
                kept_from[one.symbol] = one.unkept[-1][1]
                self.trader.say(
                    "catch_up",
                    level="WARNING",
                    symbol=one.symbol,
                    status="not_kept",
                    reason=str(one.not_kept),
                )
        most_rows = max((one.most_rows for one in reports), default=0)
        self._earlier = backfill.Earlier(most_rows, newest, kept_from)

    def _refuse_to_guess(self, failed: Mapping[str, ExchangeError | LakeBusy]) -> None:
        """Raise what failed where nothing can be done without it.

        That is: where nothing was answered, where markets are traded together or compared, so that
        none can be judged alone, and where a refusal comes before the first bar: a wrong name.
        """
        lasting = [one for one in failed.values() if not isinstance(one, Transient | LakeBusy)]
        together = self.strategy.config.together or self.strategy.compared
        if failed and (together or len(failed) == len(self.symbols)):
            passing = [one for one in failed.values() if one not in lasting]
            raise (passing or lasting)[0]
        if lasting and not self.trader.seen:
            raise lasting[0]

    def _due(self, now_ns: int) -> bool:
        """Whether there may be something new: a decision waits, or a bar may have closed."""
        if self._windows is None or self.trader.pending:
            return True
        seen, interval = self.trader.seen, self.strategy.config.interval
        return any(
            one not in seen or now_ns >= bar_end(bar_end(seen[one], interval), interval)
            for one in self.symbols
        )

    def _reach(self, now_ns: int) -> int:
        """How many bars back the lake must be complete: two windows, and all of a pause.

        At least a page, which costs one request all the same, and reaches over silent hours.
        """
        seen = [self.trader.seen[one] for one in self.symbols if one in self.trader.seen]
        missed = (now_ns - min(seen)) // self._length if seen else 0
        windows = (2 + self.strategy.compares) * self.strategy.warmup
        return max(self.page_bars, windows + max(0, missed) + 2)

    def _read(self, symbols: Collection[str], clock_ns: int) -> Windows:
        """The tail in memory, with what the lake has of `symbols` that is newer and closed by then.

        Another process may land a bar of one symbol before the look's clock lets it be over for
        the others.
        """
        interval, exchange = self.strategy.config.interval, self.market.name
        stored = set(self.lake.stored().rows())
        there = [one for one in symbols if (exchange, one, interval) in stored]
        known = {} if self._windows is None else self._windows.newest()
        frames = [
            self.lake.bars(one, interval, known[one] + 1, exchange=exchange)
            for one in there
            if one in known
        ]
        if unread := [one for one in there if one not in known]:
            recent, older = Period(clock_ns - 2 * self._length), self._reach(clock_ns)
            frames.append(bars_of(self.lake, unread, self.strategy, recent, older, exchange))
        ended = closing(pl.col("ts"), interval) <= clock_ns
        newer = (
            collected(pl.concat(frames).filter(ended), self.lake.root)
            if frames
            else pl.DataFrame(schema=NOTHING)
        )
        if self._windows is None:
            self._windows = Windows(self.strategy, newer)
        else:
            self._windows.extend(newer)
        return self._windows

    def _catch_up(self, windows: Windows, symbols: Collection[str], now_ns: int) -> list[Stepped]:
        """Step through what closed of `symbols` since the last look.

        Only a symbol's newest bar is decided on; bars that passed unseen fill what waited for
        them. A symbol that was never seen begins at its newest bar: the past is not traded.
        Stopped when told to stop between two steps: the next look goes on with the rest.
        """
        last, seen = windows.newest(), self.trader.seen
        fresh = {
            symbol: windows.after(symbol, seen.get(symbol, last[symbol] - 1))
            for symbol in symbols
            if symbol in last
        }
        for symbol, bars in fresh.items():
            if (missed := bars.height - 1) > 0:
                self.trader.say(
                    "catch_up",
                    level="WARNING",
                    symbol=symbol,
                    status="missed",
                    reason=f"{missed} bars passed unseen; only the newest is decided on",
                )
        if not fresh:
            return []
        steps = []
        for ts, here in moments(pl.concat(fresh.values())):
            if self._stop():
                raise Stopped
            newest = [one for one in here if last[one] == ts]
            steps.append(self.trader.step(ts, here, now_ns, newest))
        return steps


def settling_s(now_ns: int, interval: str) -> float:
    """How long to wait until a bar that has only just ended is known to be over; mostly 0."""
    ends = "1d" if interval in ("1w", "1M") else interval  # these end at some midnight
    return max(0.0, SETTLED_S - (now_ns - settled(now_ns, ends)) / SECOND)


def look(poller: Poller, clock: Callable[[], int]) -> Polled:
    """One look, and a log line that says how long it took and how it ended."""
    say, elapsed = poller.trader.say, stopwatch()
    try:
        polled = poller.poll(clock)
    except (ExchangeError, LakeBusy) as error:
        asked = error.request_id if isinstance(error, ExchangeError) else None
        facts = {"reason": str(error), "latency_ms": elapsed(), "request_id": asked}
        say("poll", level="WARNING", status="failed", **facts)
        raise
    say("poll", level="DEBUG", status="done", latency_ms=elapsed())
    return polled


def run(
    poller: Poller,
    *,
    clock: Callable[[], int],
    wait: Callable[[float], bool],
    interval_s: float,
    on_poll: Callable[[Polled], None],
) -> None:
    """Poll until `wait` says to stop; a look that fails for the moment is tried again in turn."""
    while True:
        try:
            polled = look(poller, clock)
        except (Transient, LakeBusy) as error:
            now_ns = poller.market.time_ns(clock())
            stale = poller.trader.watch(poller.symbols, now_ns)
            polled = Polled(now_ns, stale=stale, failed=str(error))
        on_poll(polled)
        if wait(interval_s):
            return


@contextmanager
def polling(
    setup: Setup,
    market: MarketData,
    *,
    exclusions: tuple[str, ...] = (),
    page_bars: int = 1000,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Poller]:
    """A poller of `market` for the strategy's symbols, on the journal of the settings.

    `stop` is asked between steps.
    """
    strategy = setup.strategy
    if strategy.config.exchange not in (None, market.name):
        raise UsageError(
            f"{strategy.name} is for {strategy.config.exchange}, but paper trading looks at "
            f"{market.name}; leave `exchange` out, or replay with --replay"
        )
    interval = strategy.config.interval
    if interval not in market.intervals:
        raise UsageError(
            f"{strategy.name} is on bars of {interval}, but paper trading decides on those that "
            f"{market.name} sends: {', '.join(market.intervals)}; take one of them, or --replay"
        )
    said = strategy.config.symbols
    wanted = once_each(said, with_quote(said, setup.quote))
    symbols = [one for one in wanted if one not in exclusions]
    for one in sorted(set(wanted) - set(symbols)):
        setup.note(f"{one} is among `exclusions`: not traded")
    if not symbols:
        raise UsageError(f"{strategy.name}: every symbol is among `exclusions`; nothing to trade")
    session = described("paper", strategy, symbols, setup.terms)
    path = setup.journal or setup.live.journal
    with opened(path, session, now_ns=setup.now_ns, fresh=setup.fresh) as journal:
        yield Poller(
            lambda look: setup.trader(journal, look),
            strategy,
            symbols,
            setup.lake,
            market,
            page_bars=page_bars,
            stop=stop,
        )
