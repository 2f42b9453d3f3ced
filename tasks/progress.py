"""Progress on stderr: a bar on a terminal, a line now and then in a log file, nothing when quiet."""

import sys
import time
from types import TracebackType
from typing import Any

LINE_SECONDS = 30.0


class Progress:
    """Count finished records of a known total; use as a context manager."""

    def __init__(self, what: str, total: int, *, quiet: bool = False) -> None:
        self.what, self.total, self.done = what, total, 0
        self._quiet = quiet
        self._bar: Any = None
        self._begun = self._shown = time.monotonic()
        self._skipped = 0

    def __enter__(self) -> "Progress":
        """Show an empty bar on a terminal."""
        if not self._quiet and sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(total=self.total, desc=self.what, unit=" records", file=sys.stderr, leave=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()

    def advance(self, count: int, *, skipped: bool = False) -> None:
        """Count records as done; `skipped` ones were done by an earlier run and say nothing about the speed."""
        self.done += count
        self._skipped += count if skipped else 0
        if self._bar is not None:
            self._bar.update(count)
        elif not self._quiet and time.monotonic() - self._shown >= LINE_SECONDS:
            self._shown = time.monotonic()
            sys.stderr.write(self.line() + "\n")
            sys.stderr.flush()

    def line(self) -> str:
        """Say how far the work is and how long the rest may take."""
        share = 100 * self.done // max(self.total, 1)
        text = f"{self.what}: {self.done:,} of {self.total:,} records ({share} %)"
        worked = self.done - self._skipped
        if not worked:
            return text
        rest = (self.total - self.done) * (time.monotonic() - self._begun) / worked
        return f"{text}, about {duration(rest)} left"


def duration(seconds: float) -> str:
    """Write a time span for people: 45 s, 12 min, 3.4 h."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def size(count: float) -> str:
    """Write a number of bytes for people: 512 B, 1.2 MB."""
    for unit in ("B", "KB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 99.5 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
