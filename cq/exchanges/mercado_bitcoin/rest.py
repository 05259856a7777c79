"""The thin shell around the wire: one connection pool, limits, time-outs, retries, the clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, Final, Self
from uuid import uuid4

import httpx
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_exponential,
    wait_random,
)

from cq.errors import ConfigError, ExchangeError, Transient, Unreachable
from cq.exchanges import limits as limiting
from cq.exchanges.mercado_bitcoin.errors import error_in, http_date_ns
from cq.exchanges.mercado_bitcoin.question import Answer, Question
from cq.utils import clock as clocks
from cq.utils import log
from cq.utils.settings import Ingestion, Retry

HEADERS: Final = {"User-Agent": "Mozilla/5.0 (compatible; cq)", "Accept": "application/json"}
"""The edge blocks what does not look like an ordinary client."""

LONGEST_PAUSE_S: Final = 300.0
"""An exchange that asks for a longer pause than this is reported, not waited for."""


@dataclass(frozen=True)
class _Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes


class Rest:
    """Mercado Bitcoin's REST API v4, as far as it is the same for every endpoint.

    `ask` waits for its turn, asks, names what went wrong, and tries again where that may help.
    """

    def __init__(
        self,
        ingestion: Ingestion,
        *,
        limits: limiting.Limits | None = None,
        clock: Callable[[], int] = clocks.now_ns,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.base_url = ingestion.rest_base_url.rstrip("/")
        self.requests = 0
        self.offset_ns: int | None = None
        self._timeout_s = ingestion.timeout_seconds
        self._retry = ingestion.retry
        self._clock, self._sleep = clock, sleep
        self._name, self._numbers = uuid4().hex[:8], count(1)
        try:
            host = httpx.URL(self.base_url).netloc.decode()
        except httpx.InvalidURL as wrong:
            raise ConfigError("ingestion.rest_base_url", f"{self.base_url}: {wrong}") from None
        allowed = ingestion.rate_limits
        self._limits = limits or limiting.shared(
            host, allowed.requests_per_minute, allowed.requests_per_second
        )
        self._http = httpx.Client(headers=HEADERS, timeout=self._timeout_s)

    def ask(self, question: Question[Answer]) -> Answer:
        """What `question.read` makes of the answer.

        An ExchangeError once trying again has not helped.
        """
        path = question.path
        said = {"symbol": question.symbol, "request_id": f"{self._name}-{next(self._numbers)}"}
        elapsed = clocks.stopwatch()

        def once() -> Answer:
            nonlocal elapsed
            self._limits.wait(question.endpoint)
            elapsed = clocks.stopwatch()
            reply = self._send(path, question.params)
            self._log("DEBUG", path, status=reply.status, latency_ms=elapsed(), **said)
            error = error_in(reply.status, reply.headers, reply.body, path)
            if error is not None:
                raise error
            return question.read(reply.body)

        def note(state: RetryCallState) -> None:
            self._log("WARNING", path, latency_ms=elapsed(), **said, **self._again(state))

        try:
            return self._retrying(note)(once)
        except ExchangeError as failed:
            failed.request_id = said["request_id"]
            raise

    def close(self) -> None:
        """Let the connections go."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _retrying(self, note: Callable[[RetryCallState], None]) -> Retrying:
        return Retrying(
            retry=retry_if_exception_type(Transient),
            stop=lambda state: stop_after_attempt(self._retry.max_tries)(state) or _too_long(state),
            wait=pause_after(self._retry),
            sleep=self._sleep,
            before_sleep=note,
            reraise=True,
        )

    def _send(self, path: str, params: Mapping[str, Any]) -> _Reply:
        """One request, no longer than the time-out in all, however slowly the bytes drip."""
        self.requests += 1
        deadline = time.monotonic() + self._timeout_s
        try:
            with self._http.stream("GET", self.base_url + path, params=params) as response:
                self._set_offset(response.headers.get("date", ""))
                body = bytearray()
                for chunk in response.iter_bytes():
                    body += chunk
                    if time.monotonic() > deadline:
                        raise httpx.ReadTimeout("no whole answer in time")
                return _Reply(response.status_code, response.headers, bytes(body))
        except httpx.TimeoutException:
            reason = f"no answer within {self._timeout_s:g} s"
            raise Unreachable(self.base_url, reason) from None
        except (httpx.TransportError, httpx.DecodingError) as failed:
            reason = str(failed) or type(failed).__name__
            raise Unreachable(self.base_url, reason) from None
        except httpx.InvalidURL as wrong:
            raise ConfigError("ingestion.rest_base_url", f"{self.base_url}: {wrong}") from None

    def _set_offset(self, date: str) -> None:
        """`Date` is cut to seconds and was written before it arrived: a lower bound, never late."""
        said = http_date_ns(date)
        if said is not None:
            self.offset_ns = said - self._clock()

    def _again(self, state: RetryCallState) -> dict[str, object]:
        """What the log says of a try that failed; `sentence` is for people."""
        error = state.outcome.exception() if state.outcome else None
        brief = error.brief if isinstance(error, Transient) else "no answer"
        pause, tries = (
            state.upcoming_sleep,
            f"{state.attempt_number + 1} of {self._retry.max_tries}",
        )
        seconds = f"{pause:.0f}" if pause >= 1 else f"{pause:.1f}"
        sentence = f"{brief}, trying again in {seconds} s ({tries})"
        return {"status": log.RETRY, "reason": str(error), "sentence": sentence}

    def _log(self, level: str, path: str, **fields: object) -> None:
        log.event("rest", f"GET {path}", level=level, **fields)


def pause_after(retry: Retry) -> Callable[[RetryCallState], float]:
    """Seconds until the next try: what the exchange asked for, else a doubling back-off."""
    backoff = wait_exponential(
        multiplier=retry.backoff_base_ms / 1000, max=retry.backoff_cap_ms / 1000
    ) + wait_random(0, retry.backoff_jitter_ms / 1000)

    def pause(state: RetryCallState) -> float:
        asked = _asked_s(state)
        return float(backoff(state)) if asked is None else asked

    return pause


def _asked_s(state: RetryCallState) -> float | None:
    error = state.outcome.exception() if state.outcome else None
    return error.retry_after_s if isinstance(error, Transient) else None


def _too_long(state: RetryCallState) -> bool:
    asked = _asked_s(state)
    return asked is not None and asked > LONGEST_PAUSE_S
