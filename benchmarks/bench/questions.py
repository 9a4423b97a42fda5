"""Questions to a node while it works: five a second, from a thread of their own, none asked twice."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator

RATE = 5.0  # Hz
THINGS = (
    *("mug", "laptop", "book", "bottle", "bowl", "keyboard", "plant", "lamp", "phone", "box", "plate", "scissors"),
    *("banana", "remote control", "cup", "notebook"),
)
QUALITIES = ("red", "small", "blue", "old", "white", "heavy", "round", "green", "wooden", "empty", "clean", "yellow")
RELATIONS = ("left of", "right of", "next to", "behind", "in front of", "nearest to")


def questions(seed: int = 0) -> Iterator[str]:
    """Texts that were not asked before: words with a quality, and relations between two things, in turn."""
    plain = [f"{quality} {thing}" for quality in QUALITIES for thing in THINGS]
    related = [f"the {a} {how} the {b}" for a, b in itertools.permutations(THINGS, 2) for how in RELATIONS]
    order = random.Random(seed)
    order.shuffle(plain)
    order.shuffle(related)
    for pair in zip(plain, related, strict=False):
        yield from pair


class Asker:
    """Asks until it is stopped; `seconds` has what each answer took, one after the other."""

    def __init__(self, ask: Callable[[str], object], rate: float = RATE) -> None:
        self.seconds: list[float] = []
        self.error: Exception | None = None
        self._ask, self._period = ask, 1 / rate
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        for text in questions():
            begin = time.perf_counter()
            try:
                self._ask(text)
            except Exception as error:  # told by stop(), which the measuring thread calls
                self.error = error
                return
            self.seconds.append(time.perf_counter() - begin)
            if self._stopping.wait(max(0.0, self._period - self.seconds[-1])):
                return

    def stop(self) -> list[float]:
        """End, and give the times. Raises what a question raised."""
        self._stopping.set()
        self._thread.join()
        if self.error is not None:
            raise self.error
        return self.seconds
