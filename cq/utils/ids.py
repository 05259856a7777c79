"""Names for orders and sessions: the same decision always gets the same one."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from cq.utils.time import from_ns

NONCE_LENGTH = 12


def client_id(session: str, decided_ts: int, symbol: str, side: str) -> str:
    """The client id of one order: date, symbol, side and nonce, such as `20260131BTC-BRLbuy9f…`.

    The date is that of the decision (UTC); the nonce is drawn from the session and the decision's
    instant, so that a restart gives the same order the same id and no two orders share one.
    """
    nonce = digest([session, decided_ts, symbol, side])[:NONCE_LENGTH]
    return f"{from_ns(decided_ts):%Y%m%d}{symbol}{side}{nonce}"


def digest(value: Any) -> str:
    """The SHA-256, in hex, of any JSON value; the order of keys does not matter."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()
