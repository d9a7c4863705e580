"""The queue in which clients take turns."""

from __future__ import annotations

import threading

from service.jobs.local.fair import FairQueue


def filled(**clients: int) -> FairQueue[str]:
    queue = FairQueue[str]()
    for client, count in clients.items():
        for number in range(count):
            queue.put(client, f"{client}{number}")
    return queue


def test_one_client_is_served_in_the_order_of_its_asking() -> None:
    queue = filled(a=3)
    assert [queue.get() for _ in range(3)] == ["a0", "a1", "a2"]


def test_client_with_forty_entries_does_not_make_others_wait_for_them() -> None:
    queue = filled(a=40, b=2, c=1)
    assert [queue.get() for _ in range(6)] == ["a0", "b0", "c0", "a1", "b1", "a2"]
    queue.put("d", "d0")
    assert "d0" in [queue.get(), queue.get()]
    assert (queue.size(), queue.size_of("a"), queue.size_of("b")) == (36, 36, 0)


def test_whoever_waits_gets_what_comes_and_is_told_of_the_end() -> None:
    queue = FairQueue[str]()
    got: list[str | None] = []
    threads = [threading.Thread(target=lambda: got.append(queue.get())) for _ in range(2)]
    for thread in threads:
        thread.start()
    queue.put("a", "a0")
    queue.close()
    for thread in threads:
        thread.join(10)
    assert sorted(map(str, got)) == ["None", "a0"]


def test_closed_queue_gives_what_is_left_first() -> None:
    queue = filled(a=1, b=1)
    queue.close()
    assert [queue.get() for _ in range(3)] == ["a0", "b0", None]
