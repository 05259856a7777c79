"""What an exchange refuses, or cannot do at the moment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cq.errors.roots import CqError


class ExchangeError(CqError):
    """The exchange refused or is out of reach."""

    exit_code = 4
    request_id: str | None = None


class Transient(ExchangeError):
    """Worth another try in a moment; `brief` says why in two or three words."""

    brief = "no answer"
    retry_after_s: float | None = None


class RateLimited(Transient):
    """The exchange asks for fewer requests."""

    brief = "too many requests"

    def __init__(self, path: str, retry_after_s: float | None) -> None:
        self.path, self.retry_after_s = path, retry_after_s
        wait = f" for {retry_after_s:g} s" if retry_after_s is not None else ""
        super().__init__(f"{path}: too many requests; the exchange asks for a pause{wait}")


class Unavailable(Transient):
    """The exchange answered with a fault of its own."""

    def __init__(self, path: str, status: int) -> None:
        self.path, self.status, self.brief = path, status, f"status {status}"
        super().__init__(f"{path}: the exchange answers with status {status}; try again later")


class Unreachable(Transient):
    """No answer: no connection, a time-out, a broken one; `sent` if the request may have left."""

    def __init__(self, url: str, reason: str, *, sent: bool = True) -> None:
        self.url, self.reason, self.sent = url, reason, sent
        super().__init__(
            f"{url} is out of reach ({reason}); check the network and `ingestion.rest_base_url`"
        )


class NeverConnected(ExchangeError):
    """A stream ended before any of its sockets was open."""

    def __init__(self, url: str, caught_up: str = "") -> None:
        self.url = url
        super().__init__(
            f"no socket to {url} was ever open, so nothing was streamed"
            f"{caught_up and f' ({caught_up})'}; check the network and `ingestion.ws_url`"
        )


class OutcomeUnknown(ExchangeError):
    """A request that must not be sent twice was sent, and what became of it is not known."""

    def __init__(self, action: str, reason: str) -> None:
        self.action, self.reason = action, reason
        super().__init__(
            f"{action}: unknown whether it arrived ({reason}); "
            "ask the exchange what became of it before sending it again"
        )


class Refused(ExchangeError):
    """The exchange understood and said no."""

    def __init__(self, path: str, status: int, code: str, message: str) -> None:
        self.path, self.status, self.code, self.message = path, status, code, message
        super().__init__(f"{path}: the exchange refused with {status} {code}: {message}")


class NoSuchMarket(Refused):
    """The exchange does not know the symbol."""

    def __init__(self, symbol: str, path: str, status: int, code: str, message: str) -> None:
        super().__init__(path, status, code, message)
        self.symbol = symbol
        self.args = (
            f"{symbol}: the exchange has no such market ({code}: {message}); "
            "expected BASE-QUOTE as it lists them, such as BTC-BRL",
        )


class LoginRefused(Refused):
    """The exchange does not take the API key, or not for what was asked."""

    def __init__(self, path: str, status: int, code: str, message: str, advice: str) -> None:
        super().__init__(path, status, code, message)
        self.args = (f"{path}: the exchange refused with {status} {code}: {message}; {advice}",)


class BarsNotKept(ExchangeError):
    """The exchange does not reach back to a bar that it has sent once: what followed is unknown.

    No bar came between `first` and `last`.
    """

    def __init__(self, symbol: str, interval: str, first: str, last: str) -> None:
        self.symbol, self.interval, self.first, self.last = symbol, interval, first, last
        super().__init__(
            f"{symbol}: the exchange does not keep {interval} bars from {first} to {last} any "
            "more; those that the lake has not got stay unknown, and are not taken for "
            f"no trade; --since {last} leaves them out"
        )


class TradesMissing(ExchangeError):
    """There were trades which the exchange does not give, or may have been.

    `runs` are ids, first and last, that say so; `unkept` are from when and to when nobody knows,
    since it keeps no trade of then. `found` are the trades that it did give.
    """

    def __init__(
        self,
        symbol: str,
        runs: Sequence[tuple[int, int]],
        found: Any = None,
        unkept: Sequence[tuple[str, str]] = (),
    ) -> None:
        self.symbol, self.runs, self.found = symbol, tuple(runs), found
        self.unkept = tuple(unkept)
        said = [_not_given(runs)] if runs else []
        said += [
            f"keeps trades only from {end} on: what was traded from {start} until then is not known"
            for start, end in unkept
        ]
        super().__init__(f"{symbol}: the exchange {'; it '.join(said)}")


def _not_given(runs: Sequence[tuple[int, int]]) -> str:
    count = sum(last - first + 1 for first, last in runs)
    first, last = runs[0]
    which = f"{first}" if first == last else f"{first} to {last}"
    more = f" and {len(runs) - 1} more runs" if len(runs) > 1 else ""
    trades = "trade" if count == 1 else "trades"
    return (
        f"does not give {count:,} {trades} (ids {which}{more}); asking again later may bring them"
    )
