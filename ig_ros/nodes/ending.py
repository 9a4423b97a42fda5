"""How a node's process ends: in time, whatever its threads are doing."""

from __future__ import annotations

import logging
import os
import sys
import threading


def leave(status: int) -> int:
    """The status to end with. Where threads are still at work the process ends here and now, its streams flushed.

    An interpreter that goes while a thread is inside compiled code aborts the process, and one that waits for the
    threads of its pools ends when the last question has been answered. The maps on disk are whole at any moment.
    """
    if threading.active_count() > 1:
        logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(status)
    return status
