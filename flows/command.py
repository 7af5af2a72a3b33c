"""How a command ends whose output somebody reads, perhaps not to its end: ``python -m flows.forecast runs.csv ... | head``."""

import os
import select
import sys
from collections.abc import Callable

EXIT_READER_GONE = 141  # 128 + SIGPIPE, as shells report it of any program that writes to nobody


def run(main: Callable[[], int]) -> int:
    """Exit status of ``main``; where the reader of its output has gone the command ends without a word.

    SIGPIPE stays ignored, as Python has it: it would also end a process whose server has gone.
    """
    try:
        try:
            return main()
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        if not _reader_has_gone():
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left in the buffer is written at exit
        return EXIT_READER_GONE


def _reader_has_gone() -> bool:
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
