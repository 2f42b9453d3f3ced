"""Inputs that can be read only once, kept so that they can be opened several times."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bio_xlstm.errors import BioXlstmError
from bio_xlstm.records.rawfile import RawFile, is_stream


class Kept:
    """Hold the path under which an input can be opened any number of times, and what the user calls it."""

    def __init__(self, path: str) -> None:
        # the copy goes when this object goes
        self._raw = RawFile(path) if path == "-" or is_stream(path) else None
        self.path = self._raw.path if self._raw is not None else path

    def renamed(self, text: str) -> str:
        """Call the input in a text as the user does."""
        if self._raw is None:
            return text
        return text.replace(self.path, self._raw.name).replace(
            Path(self.path).name, Path(self._raw.name).name
        )


@contextmanager
def kept(path: str | None) -> Iterator[Kept | None]:
    """Copy standard input or a pipe to a file, which is not what errors call it; None stays None."""
    if path is None:
        yield None
        return
    held = Kept(path)
    try:
        yield held
    except BioXlstmError as error:
        raise type(error)(held.renamed(str(error))) from None
