"""What makes a request private: the headers that carry the token. v4 signs nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import SecretStr

from cq.utils import log


@dataclass(frozen=True)
class Token:
    """An access token, opaque, and when it expires by the exchange's clock, where that is known."""

    secret: SecretStr
    expires_ns: int | None = None
    renew_ns: int | None = None

    def is_good(self, now_ns: int) -> bool:
        """True until it is time to have the next one."""
        return self.renew_ns is None or now_ns < self.renew_ns

    def lives(self, now_ns: int) -> bool:
        """True until it expires."""
        return self.expires_ns is None or now_ns < self.expires_ns


SHORTEST: Final = 6
"""No key is as short, and cutting it out would garble the words of the error."""


def without(secrets: Iterable[SecretStr], body: bytes) -> bytes:
    """`body` with the secrets cut out: an error may quote what it refuses."""
    for secret in secrets:
        text = secret.get_secret_value()
        if len(text) < SHORTEST:
            continue
        for form in log.forms_of(text):
            body = body.replace(form.encode(), log.MASK.encode())
    return body


class SecretHeaders(dict[str, str]):
    """Headers whose values are shown nowhere."""

    def __repr__(self) -> str:
        return repr(dict.fromkeys(self, "**********"))

    __str__ = __repr__


def sign_request(
    token: Token,
    path: str,  # noqa: ARG001
    params: Mapping[str, Any] | None = None,  # noqa: ARG001
    body: Mapping[str, Any] | None = None,  # noqa: ARG001
) -> dict[str, str]:
    """The headers that make the request private: a bearer token, whatever is asked.

    `path`, `params` and `body` are not signed in v4; they are here because they would be if the
    exchange began to.
    """
    return SecretHeaders(Authorization=f"Bearer {token.secret.get_secret_value()}")
