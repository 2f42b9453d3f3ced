"""Signals that ask a run to stop: obeyed at once where nothing is lost, noted while it trains, to end between steps."""

import contextlib
import signal
from types import FrameType, TracebackType
from typing import Any

# schedulers send SIGTERM or SIGUSR1 some time before they kill
_SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGUSR1") if hasattr(signal, name)]


class StopRequest:
    """Listen to SIGTERM, SIGUSR1 and Ctrl-C while the context is open.

    They raise KeyboardInterrupt while `at_once` is set, and are noted in `asked` otherwise; a second Ctrl-C interrupts
    at once even then.
    """

    def __init__(self, *, at_once: bool = False) -> None:
        self.asked = False
        self.at_once = at_once
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "StopRequest":
        """Begin to listen."""
        self.listen()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Hand the signals back."""
        for number, handler in self._before.items():
            # None stands for a handler that was not set from Python
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def listen(self) -> None:
        """Take the signals; once more after Lightning took them, which gives up in the middle of a step."""
        # only the main thread may listen
        with contextlib.suppress(ValueError):
            for number in _SIGNALS:
                handler = signal.signal(number, self._note)
                self._before.setdefault(number, handler)
            let_through()

    def hold(self) -> None:
        """Let signals wait until `listen`; processes started meanwhile hold them too, until they listen themselves."""
        # without this, one signal to all processes ends those that are still starting, and with them the run
        if self._before and hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)

    def _note(self, number: int, frame: FrameType | None) -> None:
        again, self.asked = self.asked, True
        if self.at_once or (again and number == signal.SIGINT):
            raise KeyboardInterrupt


def let_through(_: int = 0) -> None:
    """Receive signals that were held, in this process or in the one that started it."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
