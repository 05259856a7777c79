"""Faults as they strike: every decision follows from the plan, its seed and the count of events."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from zlib import crc32

import numpy as np
import numpy.typing as npt

from cq.sim.arrays import Ints
from cq.sim.plan import (
    FRAME_KINDS,
    PUBLIC,
    REQUEST_KINDS,
    SOCKET,
    SOCKET_KINDS,
    SPELL_KINDS,
    Manner,
    Plan,
    Rule,
)
from cq.utils.time import MILLISECOND

Flags = npt.NDArray[np.bool_]

_TELLING = re.compile(r'"(?:tid|date)":(\d+)')
"""What can be held against something else: ids are dense, a date is near its frame's own stamp."""


class Armed:
    """A rule and how far it has come."""

    def __init__(self, rule: Rule, seed: int, number: int) -> None:
        self.rule = rule
        self.random = np.random.default_rng([seed, number, crc32(rule.kind.encode())])
        self.seen = self.struck = 0
        self.waiting = False  # it struck while another ended the socket: its turn is next
        self.moments = sorted(rule.at)

    def reaches(self, endpoint: str, symbol: str) -> bool:
        """Whether it is about this endpoint and symbol."""
        rule = self.rule
        if rule.kind == "expired_token" and endpoint in PUBLIC:
            return False
        return (not rule.endpoints or endpoint in rule.endpoints) and (
            not rule.symbols or symbol in rule.symbols
        )

    def is_about(self, symbols: Iterable[str]) -> bool:
        """Whether it may strike a socket on which these symbols are sent."""
        return not self.rule.symbols or any(one in self.rule.symbols for one in symbols)

    def strikes(self, elapsed_s: float, count: int, most: int | None = None) -> Ints:
        """Which of the next `count` events it strikes, as positions among them, `most` at most."""
        rule = self.rule
        first, self.seen = self.seen, self.seen + count
        if rule.at:
            return self._at_its_moments(elapsed_s, count)
        if rule.each is not None:
            hit = np.arange(rule.each - 1 - first % rule.each, count, rule.each, dtype=np.int64)
        elif rule.chance is not None:
            hit = np.flatnonzero(self.random.random(count) < rule.chance).astype(np.int64)
        else:
            hit = np.arange(count, dtype=np.int64)
        if elapsed_s < rule.after or (rule.until is not None and elapsed_s >= rule.until):
            return hit[:0]
        return self._within_limit(hit[:most])

    def _at_its_moments(self, elapsed_s: float, count: int) -> Ints:
        due = sum(moment <= elapsed_s for moment in self.moments)
        if not due or not count:
            return np.empty(0, np.int64)
        del self.moments[:due]
        return self._within_limit(np.zeros(1, np.int64))

    def _within_limit(self, hit: Ints) -> Ints:
        if self.rule.limit is not None:
            hit = hit[: self.rule.limit - self.struck]
        self.struck += len(hit)
        return hit

    def lasts(self, elapsed_s: float) -> bool:
        """Whether a spell (outage, skew) is on."""
        rule = self.rule
        if rule.at:
            return any(one <= elapsed_s < one + (rule.lasts or 0) for one in rule.at)
        return rule.after <= elapsed_s and (rule.until is None or elapsed_s < rule.until)

    def amount_ms(self) -> float:
        """How many milliseconds this time."""
        least, most = self.rule.ms or (0.0, 0.0)
        return least if least == most else float(self.random.uniform(least, most))


@dataclass(frozen=True)
class Stroke:
    """A fault that strikes one request."""

    rule: Rule
    ms: float


@dataclass(frozen=True)
class FrameStrokes:
    """What happens to a batch of frames, by their positions; `ends` tells what ends it there.

    `corrupt` tells for each position in what manner.
    """

    lost: Ints
    duplicate: Ints
    reorder: Ints
    distance: int
    corrupt: dict[int, Manner]
    ends_at: int | None
    ends: Rule | None


@dataclass
class Faults:
    """All rules of a plan."""

    plan: Plan = field(default_factory=Plan)
    count: Counter[str] = field(default_factory=Counter)
    elapsed_s: Callable[[], float] = lambda: 0.0

    def __post_init__(self) -> None:
        rules = [Armed(rule, self.plan.seed, n) for n, rule in enumerate(self.plan.faults)]
        self._requests = [one for one in rules if one.rule.kind in REQUEST_KINDS]
        self._frames = [one for one in rules if one.rule.kind in FRAME_KINDS]
        self._sockets = [one for one in rules if one.rule.kind in SOCKET_KINDS]
        self._spells = {
            kind: [one for one in rules if one.rule.kind == kind] for kind in SPELL_KINDS
        }
        self.random = np.random.default_rng([self.plan.seed, 99])

    def on_request(self, endpoint: str, symbol: str) -> list[Stroke]:
        """What strikes this request, in the order of the plan."""
        now = self.elapsed_s()
        found = []
        for one in self._requests:
            if one.reaches(endpoint, symbol) and len(one.strikes(now, 1)):
                self.count[one.rule.kind] += 1
                found.append(Stroke(one.rule, one.amount_ms()))
        return found

    def is_out(self, endpoint: str, symbol: str) -> bool:
        """Whether an outage covers this endpoint (`ws` for the sockets) and symbol now."""
        now = self.elapsed_s()
        return any(
            one.lasts(now) and one.reaches(endpoint, symbol) for one in self._spells["outage"]
        )

    def refuses_sockets(self) -> bool:
        """Whether new sockets are turned away now."""
        now = self.elapsed_s()
        return any(one.lasts(now) for one in self._spells["refuse_sockets"])

    def skew_ns(self) -> int:
        """How far the exchange's clock is off now."""
        now = self.elapsed_s()
        active = (one.rule for one in self._spells["clock_skew"] if one.lasts(now))
        return sum(int((rule.ms or (0, 0))[0] * MILLISECOND) for rule in active)

    def on_frames(self, symbols: Sequence[str], which: Ints) -> FrameStrokes | None:
        """What strikes the next frames, of which number n is of `symbols[which[n]]`."""
        if not self._frames and not self._sockets:
            return None
        now, none = self.elapsed_s(), np.empty(0, np.int64)
        hit = dict.fromkeys(FRAME_KINDS, none)
        distance, ends_at, ends = 1, None, None
        corrupt: dict[int, Manner] = {}
        for one in self._frames:
            places = self._hits(one, now, symbols, which)
            hit[one.rule.kind] = np.union1d(hit[one.rule.kind], places)
            distance = max(distance, one.rule.distance)
            if one.rule.kind == "corrupt":
                corrupt |= dict.fromkeys(places.tolist(), one.rule.how)
        due = []
        for one in self._sockets:
            places = self._hits(one, now, symbols, which, most=1)
            if one.waiting and len(which):
                due.append((0, one))
            elif len(places):
                due.append((int(places[0]), one))
            one.waiting = one.waiting and not len(which)
        for place, one in sorted(due, key=lambda pair: pair[0]):
            if ends is None:
                ends_at, ends = place, one.rule
            else:
                one.waiting = True
        return FrameStrokes(
            hit["lost"], hit["duplicate"], hit["reorder"], distance, corrupt, ends_at, ends
        )

    def _hits(
        self,
        one: Armed,
        now: float,
        symbols: Sequence[str],
        which: Ints,
        most: int | None = None,
    ) -> Ints:
        """The positions that a rule strikes; one that ends a socket strikes no further: `most`."""
        if one.rule.symbols:
            about = np.array([one.reaches(SOCKET, symbol) for symbol in symbols], dtype=bool)
            places = np.flatnonzero(about[which])
        else:
            places = np.arange(len(which))
        found: Ints = places[one.strikes(now, len(places), most)]
        return found

    def strikes_idle(self, symbols: Collection[str]) -> Rule | None:
        """What ends a socket of `symbols` on which nothing is sent: only rules with moments do."""
        now = self.elapsed_s()
        for one in self._sockets:
            if one.rule.at and one.is_about(symbols) and len(one.strikes(now, 1)):
                return one.rule
        return None

    def mangled(self, text: str, how: Manner = "any") -> str:
        """The same frame after an accident: no JSON any more, or with one digit changed."""
        if how == "digit" or (how == "any" and self.random.integers(2)):
            return self._misread(text)
        return self._broken(text)

    def _broken(self, text: str) -> str:
        """Cut off, begun in the middle, or no JSON at all."""
        place = int(self.random.integers(1, max(len(text), 2)))
        return (text[:place], f"<{text[1:]}", text[place:], "")[int(self.random.integers(4))]

    def _misread(self, text: str) -> str:
        """One digit of its id or date is another; a frame that has neither is broken."""
        numbers = [found.span(1) for found in _TELLING.finditer(text)]
        if not numbers:
            return self._broken(text)
        start, end = numbers[int(self.random.integers(len(numbers)))]
        place = int(self.random.integers(start, end))
        leading = place == start  # a number that began with 0 would be no JSON
        others = [one for one in "0123456789"[leading:] if one != text[place]]
        return text[:place] + others[int(self.random.integers(len(others)))] + text[place + 1 :]
