"""The same work on many things, a few at a time."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

WORKERS: Final = min(4, os.cpu_count() or 1)

T = TypeVar("T")
R = TypeVar("R")


def together(work: Callable[[T], R], items: Sequence[T], workers: int = WORKERS) -> list[R]:
    """`work` on every item, a few at a time; the first error stops what has not begun.

    Workers take items themselves, the caller among them: to hand over each costs as much as to
    write a small file.
    """
    done: dict[int, R] = {}
    failed: dict[int, BaseException] = {}
    waiting = iter(range(len(items)))

    def share() -> None:
        which = 0
        try:
            for which in waiting:
                done[which] = work(items[which])
        except BaseException as error:
            failed[which] = error
            deque(waiting, maxlen=0)

    with ThreadPoolExecutor(workers) as others:
        for _ in range(min(workers, len(items)) - 1):
            others.submit(share)
        share()
    if failed:
        raise failed[min(failed)]
    return [done[which] for which in range(len(items))]
