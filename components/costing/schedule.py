"""How long cells take that wait for one another, N at once."""

import heapq
from collections.abc import Mapping, Sequence


def makespan_seconds(order: Sequence[str], upstream: Mapping[str, Sequence[str]], seconds: Mapping[str, float], workers: int) -> float:
    """Time until all of ``order`` are done, when a free worker takes the first in order that waits for none.

    Args:
        order: names, upstream before downstream.
        upstream: name -> what it waits for; names outside ``order`` are done already.
        seconds: name -> how long it takes.
        workers: how many at once, at least 1.
    """
    waiting, done, now_s = list(order), set[str](), 0.0
    running: list[tuple[float, str]] = []
    while waiting or running:
        ready = [name for name in waiting if all(needed in done or needed not in seconds for needed in upstream[name])]
        for name in ready[: workers - len(running)]:
            waiting.remove(name)
            heapq.heappush(running, (now_s + seconds[name], name))
        now_s, name = heapq.heappop(running)
        done.add(name)
    return now_s
