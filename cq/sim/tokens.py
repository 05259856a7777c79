"""Access tokens: long opaque texts like signed JWTs, which expire by the exchange's clock."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import shake_256
from hmac import compare_digest
from typing import Final

from cq.sim import refusals
from cq.sim.refusals import GatewayRefusal, Refusal
from cq.sim.trading_switches import TradingSwitches
from cq.utils.time import SECOND

LENGTH: Final = 1235
"""Letters of a recorded token."""
SIGNATURE_BYTES: Final = 256


@dataclass(frozen=True)
class Key:
    """An API key of the local exchange; it protects nothing."""

    login: str
    password: str = field(repr=False)
    account: str
    read_only: bool = False


@dataclass(frozen=True)
class Grant:
    """A token that was handed out."""

    token: str = field(repr=False)
    key: Key
    expires_ns: int


@dataclass
class Tokens:
    """Keys, and the tokens that were issued for them."""

    keys: tuple[Key, ...]
    switches: TradingSwitches
    seed: int = 0
    _granted: dict[str, Grant] = field(default_factory=dict, repr=False)
    _issued: int = 0

    def key_of(self, login: str, password: str) -> Key | None:
        """The key with this id and secret."""
        return next(
            (
                key
                for key in self.keys
                if key.login == login and compare_digest(_bytes(key.password), _bytes(password))
            ),
            None,
        )

    def issue(self, key: Key, now_ns: int) -> Grant:
        """A new token; older ones stay good."""
        self._issued += 1
        expires_ns = now_ns + self.switches.token_seconds * SECOND
        text = token(f"{self.seed} {self._issued} {key.login}", now_ns, expires_ns)
        grant = Grant(text, key, expires_ns)
        now = {text: one for text, one in self._granted.items() if one.expires_ns > now_ns}
        self._granted = now | {text: grant}
        return grant

    def expire(self) -> None:
        """No token that was handed out is active any more."""
        self._granted.clear()

    def check(self, header: str | None, now_ns: int) -> Key:
        """Whose the request is. A Refusal where the token is missing, no token, or not active."""
        scheme, _, text = (header or "").partition(" ")
        if scheme.lower() != "bearer" or not is_token(text):
            raise Refusal(*refusals.FORBIDDEN)
        grant = self._granted.get(text)
        if grant is None or grant.expires_ns <= now_ns:
            raise self.inactive()
        return grant.key

    def inactive(self) -> Refusal:
        """The gateway's answer to a token that is not active, or a wrong key."""
        if self.switches.gateway_text == "recorded":
            return GatewayRefusal(401, "Unauthorized", "The request could not be authorized")
        said = ("Access credentials are invalid", "Access token is not active")
        return GatewayRefusal(401, "Unauthorized", *said)

    def foreign(self) -> Refusal:
        """The gateway's answer to an account of somebody else."""
        if self.switches.gateway_text == "recorded":
            return GatewayRefusal(403, "Forbidden", "The requested action was forbidden")
        said = "Access credentials are not sufficient to access this resource"
        return GatewayRefusal(403, "Forbidden", said)


def token(salt: str, now_ns: int, expires_ns: int) -> str:
    """A text of the form header.payload.signature; the signature is noise."""
    head = _part({"alg": "RS256", "kid": "local-exchange", "typ": "JWT"})
    noise = shake_256(salt.encode())
    payload = {
        "exp": expires_ns // SECOND,
        "iat": now_ns // SECOND,
        "iss": "local-exchange",
        "jti": noise.hexdigest(16),
        "pad": "",
    }
    signature = _text(noise.digest(SIGNATURE_BYTES))
    room = LENGTH - len(head) - len(signature) - 2 - len(_part(payload))
    payload["pad"] = "0" * (room * 3 // 4)
    return f"{head}.{_part(payload)}.{signature}"


def is_token(text: str) -> bool:
    """Whether the text can be decoded as a token."""
    parts = text.split(".")
    if len(parts) != 3 or not text.isascii():
        return False
    try:
        payload = json.loads(urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return False
    return isinstance(payload, dict)


def _part(value: dict[str, object]) -> str:
    return _text(json.dumps(value, separators=(",", ":")).encode())


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    """In JSON anything may stand for text, half of a pair of UTF-16 too."""
    return text.encode("utf-8", "surrogatepass")
