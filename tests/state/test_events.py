"""News reach everyone who follows, from any thread, and streams end when the server does."""

import asyncio
import threading

from onejob.state.events import Event, Events


def test_a_follower_hears_what_other_threads_publish() -> None:
    async def scenario() -> list[Event | None]:
        events, heard = Events(), []
        publisher = threading.Timer(0.05, lambda: (events.publish("dep_1", "verdict"), events.publish("dep_2")))
        publisher.start()
        async for event in events.follow():
            heard.append(event)
            if len(heard) == 2:
                break
        return heard

    assert asyncio.run(scenario()) == [Event("dep_1", "verdict"), Event("dep_2", "deployment")]


def test_silence_is_broken_by_heartbeats() -> None:
    async def scenario() -> Event | None:
        async for event in Events().follow(heartbeat_s=0.01):
            return event
        raise AssertionError("the stream ended")

    assert asyncio.run(scenario()) is None


def test_closing_ends_all_streams_and_refuses_new_ones() -> None:
    async def scenario() -> list[Event | None]:
        events = Events()
        threading.Timer(0.05, events.close).start()
        heard = [event async for event in events.follow(heartbeat_s=60)]
        return heard + [event async for event in events.follow()]

    assert asyncio.run(asyncio.wait_for(scenario(), 5)) == []


def test_the_same_news_twice_is_told_once_to_who_is_slow() -> None:
    async def scenario() -> list[Event | None]:
        events, heard = Events(), []
        stream = events.follow(heartbeat_s=0.05)
        first = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0.01)
        for _ in range(5000):
            events.publish("dep_1")
        heard.append(await first)
        heard.append(await anext(stream))
        await stream.aclose()  # type: ignore[attr-defined]  # which is a generator
        return heard

    assert asyncio.run(scenario()) == [Event("dep_1", "deployment"), None]
