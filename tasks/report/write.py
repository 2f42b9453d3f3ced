"""The report of a finished model directory: report.html, one file to send to a colleague."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bio_xlstm.errors import OutputError
from bio_xlstm.tasks.finetune.folder import REPORT
from bio_xlstm.tasks.report.page import page
from bio_xlstm.tasks.report.run_files import read_run


def write_report(directory: str | Path, about: Mapping[str, Any] | None = None) -> Path:
    """Write report.html from the files of a finished fine-tuning run, and return its path.

    It can be written again at any time; `about` stands for a finetune.json that is not written yet. Raises
    ModelError for a directory that holds no finished run, OutputError where it cannot be written.

    Example::

        write_report("solubility-model")
    """
    target = Path(directory) / REPORT
    document = page(read_run(directory, about))
    partial = target.with_name(f"{REPORT}.part")
    try:
        partial.write_text(document, encoding="utf-8")
        partial.replace(target)
    except OSError as error:
        raise OutputError(f"{target} cannot be written: {error.strerror}") from None
    return target
