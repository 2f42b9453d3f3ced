"""A lock ends: it is held, refused, or cannot be had."""

from pathlib import Path

import pytest

from bio_xlstm.errors import OutputError
from bio_xlstm.tasks.lock import OutputLock


def test_a_folder_that_takes_no_files_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def vanish(self: Path, mode: str) -> None:
        raise FileNotFoundError(self)

    monkeypatch.setattr(Path, "open", vanish)
    lock = OutputLock(tmp_path / "parts" / "lock", tmp_path / "out.csv")
    with pytest.raises(OutputError, match="parts takes no files: write .*out.csv somewhere else"):
        lock.__enter__()
