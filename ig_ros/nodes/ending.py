"""How a node's process ends: in time, whatever its threads are doing."""

from __future__ import annotations

import logging
import os
import sys
from typing import NoReturn


def leave(status: int) -> NoReturn:
    """End the process here and now with that status, its streams flushed.

    An interpreter that goes while a thread is inside compiled code aborts the process, one that waits for the threads
    of its pools ends when the last question has been answered, and even with no thread left it takes a second or two
    to unload its libraries. The maps on disk are whole at any moment.
    """
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(status)
