import asyncio
from threading import Event, current_thread, main_thread

import pytest

from cq.ingest.workers import Stopped, Workers, pausing


def test_a_question_is_called_in_a_thread_and_its_answer_comes_back_in_the_loop():
    async def run():
        workers = Workers(2, asyncio.get_running_loop())
        asked, answered = [], asyncio.get_running_loop().create_future()
        workers.ask(lambda: asked.append(current_thread()) or 7, answered.set_result)
        try:
            return await answered, asked[0] is not main_thread()
        finally:
            workers.end()

    assert asyncio.run(run()) == (7, True)


def test_an_error_is_an_answer_too_and_the_thread_goes_on():
    async def run():
        workers, answers, done = Workers(1, asyncio.get_running_loop()), [], asyncio.Event()
        workers.ask(lambda: 1 / 0, answers.append)
        workers.ask(lambda: 2, lambda answer: (answers.append(answer), done.set()))
        await done.wait()
        workers.end()
        return answers

    first, second = asyncio.run(run())
    assert isinstance(first, ZeroDivisionError)
    assert second == 2


def test_a_loop_that_is_gone_is_not_told():
    hang, over = Event(), Event()

    async def run():
        workers = Workers(1, asyncio.get_running_loop())
        workers.ask(lambda: hang.wait(10), lambda answer: None)
        workers.ask(over.set, lambda answer: None)
        workers.end()

    asyncio.run(run())
    hang.set()
    assert over.wait(10)


def test_a_sleep_between_requests_ends_when_told_to():
    stop = Event()
    pausing(stop)(0.001)
    stop.set()
    with pytest.raises(Stopped):
        pausing(stop)(10**6)
