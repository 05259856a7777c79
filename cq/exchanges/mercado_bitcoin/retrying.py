"""Whether a failed call is tried again, and when: values in, seconds or an error out."""

from __future__ import annotations

from typing import Any, Final

from tenacity import RetryCallState, Retrying, wait_exponential, wait_random

from cq.errors import ExchangeError, OutcomeUnknown, RateLimited, Refused, Transient, Unreachable
from cq.exchanges.mercado_bitcoin.question import Question
from cq.utils.settings import Retry

LONGEST_PAUSE_S: Final = 300.0
"""An exchange that asks for a longer pause than this is reported, not waited for."""

UNAUTHORIZED: Final = 401
NO_TOKEN: Final = "API|FORBIDDEN"  # noqa: S105 - the code of an error
"""What the application says, with 403, of a call without a token that it can read."""


def pause_after(error: ExchangeError, attempt: int, retry: Retry) -> float | None:
    """Seconds until the next try after `attempt` failed with `error`; None = no other try.

    What the exchange asked for, else a doubling back-off with jitter.
    """
    if not isinstance(error, Transient) or attempt >= retry.max_tries:
        return None
    if error.retry_after_s is None:
        return backoff_s(attempt, retry)
    return error.retry_after_s if error.retry_after_s <= LONGEST_PAUSE_S else None


def backoff_s(attempt: int, retry: Retry) -> float:
    """Seconds to wait after try number `attempt`, counted from 1."""
    wait = wait_exponential(
        multiplier=retry.backoff_base_ms / 1000, max=retry.backoff_cap_ms / 1000
    ) + wait_random(0, retry.backoff_jitter_ms / 1000)
    state = RetryCallState(Retrying(), None, (), {})
    state.attempt_number = attempt
    return float(wait(state))


def as_final(error: ExchangeError, question: Question[Any]) -> ExchangeError:
    """What `error` means where the call is not sent again.

    Of an unsafe call only those failures are plain that say that it did not take effect.
    """
    plain = isinstance(error, RateLimited | Refused)
    unsent = isinstance(error, Unreachable) and not error.sent
    if question.safe or plain or unsent:
        return error
    reason = error.reason if isinstance(error, Unreachable) else brief(error)
    return OutcomeUnknown(f"{question.method} {question.path}", reason)


def wants_a_new_token(error: ExchangeError) -> bool:
    """True where the exchange did not take the token; another one may help."""
    return isinstance(error, Refused) and (error.status == UNAUTHORIZED or error.code == NO_TOKEN)


def brief(error: ExchangeError) -> str:
    """Why, in two or three words."""
    return error.brief if isinstance(error, Transient) else "no answer"
