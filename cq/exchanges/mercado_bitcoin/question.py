"""One call of the API as a value: what to send, which limits it counts against, how to read it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

from pydantic import SecretStr

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Question(Generic[Answer]):
    """A request and the reading of its reply; a shell sends it (`Rest.ask`).

    `endpoint` names the rate limit it counts against (`limits.py` lists them). `path` is relative
    to the base URL, or a whole URL. `body` is sent as JSON, its Decimals as numbers; `form`
    urlencoded. `secrets` are what a refusal may quote and nobody may read. A `private` call
    carries the token. One that is not `safe` is sent once: after a time-out it is unknown whether
    it took effect (`OutcomeUnknown`).
    """

    endpoint: str
    path: str
    read: Callable[[bytes], Answer]
    params: Mapping[str, str | int] = field(default_factory=dict)
    method: Literal["GET", "POST", "DELETE"] = "GET"
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    form: Mapping[str, str] | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: tuple[SecretStr, ...] = ()
    private: bool = False
    safe: bool = True
    symbol: str | None = None
