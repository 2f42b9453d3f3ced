"""Signals that ask a run to stop, noted instead of obeyed, so that it ends between two steps."""

import contextlib
import signal
from types import FrameType, TracebackType
from typing import Any

# schedulers send SIGTERM or SIGUSR1 some time before they kill
_SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGUSR1") if hasattr(signal, name)]


class StopRequest:
    """Note SIGTERM, SIGUSR1 and Ctrl-C while the context is open; a second Ctrl-C interrupts at once."""

    def __init__(self) -> None:
        self.asked = False
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

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.asked = True
