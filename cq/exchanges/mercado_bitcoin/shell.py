"""What the shells around the wire share: settings, limits, session, clock, log; no socket."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from uuid import uuid4

from cq.errors import ExchangeError
from cq.exchanges.limits import Limits
from cq.exchanges.mercado_bitcoin.auth import Session
from cq.exchanges.mercado_bitcoin.clock import ExchangeClock
from cq.exchanges.mercado_bitcoin.conversation import Reply, Send, Steps, conversation
from cq.exchanges.mercado_bitcoin.errors import http_date_ns
from cq.exchanges.mercado_bitcoin.limits import limits_for
from cq.exchanges.mercado_bitcoin.question import Answer, Question
from cq.exchanges.mercado_bitcoin.retrying import brief
from cq.utils import clock as clocks
from cq.utils import log
from cq.utils.settings import Credentials, Ingestion


class Shell:
    """Mercado Bitcoin's REST API v4, as far as it is the same for every endpoint and shell.

    `session` may be handed from one shell to another, so that they share a token; else it is made
    from `credentials`, which only private calls need.
    """

    def __init__(
        self,
        ingestion: Ingestion,
        credentials: Credentials | None,
        session: Session | None,
        limits: Limits | None,
        clock: Callable[[], int],
    ) -> None:
        self.base_url = ingestion.rest_base_url.rstrip("/")
        self.trades_after = ingestion.trades_after
        self.requests = 0
        self.session = session or Session(ingestion, credentials)
        self._limits = limits or limits_for(ingestion)
        self._timeout_s, self._retry = ingestion.timeout_seconds, ingestion.retry
        self._clock, self._exchange_clock = clock, ExchangeClock()
        self._name, self._numbers = uuid4().hex[:8], count(1)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.base_url!r})"

    @property
    def offset_ns(self) -> int | None:
        """How far the exchange's clock is ahead of ours, or a little less; None before a reply."""
        return self._exchange_clock.offset_ns

    def note_time(self, stamp_ns: int) -> None:
        """Take in that the exchange has just stamped a message with `stamp_ns`, in nanoseconds."""
        self._exchange_clock.note_time(stamp_ns, self._clock())

    def time_ns(self) -> int:
        """What the exchange's clock says now, or a little less."""
        return self._clock() + (self.offset_ns or 0)

    def talk(self, question: Question[Answer]) -> Steps[Answer]:
        """The steps of one call, logged, under an id of their own."""
        request_id = f"{self._name}-{next(self._numbers)}"

        def told(error: ExchangeError, pause: float, number: int) -> None:
            tries = f"{number} of {self._retry.max_tries}"
            seconds = f"{pause:.0f}" if pause >= 1 else f"{pause:.1f}"
            self._log(
                question,
                request_id,
                "WARNING",
                status=log.RETRY,
                reason=str(error),
                sentence=f"{brief(error)}, trying again in {seconds} s ({tries})",
                latency_ms=elapsed(),
            )

        elapsed = clocks.stopwatch()
        steps = conversation(question, self._retry, told)
        try:
            step = next(steps)
            while True:
                elapsed = clocks.stopwatch()
                came = yield step
                if isinstance(step, Send) and isinstance(came, Reply):
                    status = came.status
                    self._log(question, request_id, "DEBUG", status=status, latency_ms=elapsed())
                step = steps.send(came)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]
        except ExchangeError as failed:
            failed.request_id = failed.request_id or request_id
            raise

    def _arrived(self, date: str, elapsed_ms: float) -> None:
        """Take in the `Date` of a reply to a request that was sent so long ago."""
        said, now = http_date_ns(date), self._clock()
        if said is not None:
            self._exchange_clock.note_date(said, now - round(elapsed_ms * 1e6), now)

    def _log(self, asked: Question[Answer], request_id: str, level: str, **fields: object) -> None:
        action = f"{asked.method} {asked.path}"
        log.event("rest", action, level=level, symbol=asked.symbol, request_id=request_id, **fields)
