"""What the library reports while a command runs, on standard error."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class _Lines(logging.Handler):
    """Hand every message on as a line of text."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__(logging.INFO)
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        """Write one message."""
        self._say(record.getMessage())


@contextmanager
def reported(say: Callable[[str], None]) -> Iterator[None]:
    """Hand on to `say` what the library logs for people to read, such as that kernels are compiled."""
    log, lines = logging.getLogger("bio_xlstm"), _Lines(say)
    level = log.level
    log.setLevel(logging.INFO)
    log.addHandler(lines)
    try:
        yield
    finally:
        log.removeHandler(lines)
        log.setLevel(level)
