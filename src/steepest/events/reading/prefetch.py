"""Work of which the next piece is done in a thread while the last one is used.

The threads are the reader's own: what is read, evaluated or written is bound by Arrow, NumPy and
the system, which do not hold Python up.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


def prefetch(items: Iterator[Item]) -> Generator[Item, None, None]:
    """Yield the items in their order, of which the next one is made meanwhile, in a thread.

    Never more than one is waiting. What is raised while an item is made is raised where that item
    would have come. Close the generator where it may be left early (`contextlib.closing`): the
    thread then ends with the item that it is at, and `items` is closed if it is a generator.

    Examples
    --------
    >>> list(prefetch(iter("abc")))
    ['a', 'b', 'c']
    """
    end = object()
    try:
        with ThreadPoolExecutor(1, thread_name_prefix="steepest-prefetch") as thread:
            following = thread.submit(next, items, end)
            while (item := following.result()) is not end:
                following = thread.submit(next, items, end)
                yield item  # pyright: ignore[reportReturnType]
                del item  # one less in memory while the next one is waited for
    finally:
        if isinstance(items, Generator):
            items.close()
