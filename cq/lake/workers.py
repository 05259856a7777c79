"""The same work on many things, a few at a time."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Final, TypeVar

WORKERS: Final = min(4, os.cpu_count() or 1)
MOST: Final = 16
"""Threads that are kept for all that is done together at a time."""

T = TypeVar("T")
R = TypeVar("R")


def together(work: Callable[[T], R], items: Sequence[T], workers: int = WORKERS) -> list[R]:
    """`work` on every item, a few at a time; the first error stops what has not begun.

    Workers take items themselves, the caller among them: to hand over each costs as much as to
    write a small file. So does a new thread; they are kept, and who is without a free one goes on
    alone: nobody waits for work that has not begun.
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
            raise

    pool = _kept(os.getpid())
    others = [pool.submit(share) for _ in range(min(workers, len(items)) - 1)]
    try:
        try:
            share()
        finally:  # an error of the caller's is on its way while the others are waited for
            for one in others:
                if not one.cancel():  # it has begun
                    one.exception()
    except BaseException:
        if not failed:
            raise
    if failed:
        raise failed[min(failed)]
    return [done[which] for which in range(len(items))]


@cache
def _kept(process: int) -> ThreadPoolExecutor:
    """The threads of this process: one that was forked has none of its parent's."""
    del process
    return ThreadPoolExecutor(MOST, "cq-lake")
