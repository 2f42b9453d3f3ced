"""The files that an evaluation writes: all can be written, none is replaced unasked, and none is an input."""

import re
from pathlib import Path

from bio_xlstm.errors import OutputError
from bio_xlstm.tasks.evaluate.request import GenerationRequest
from bio_xlstm.tasks.files.places import check_place

METRICS_JSON, METRICS_CSV, RECORDS = "metrics.json", "metrics.csv", "records.csv"
PROPERTIES_PNG, MOLECULES_PNG = "properties.png", "molecules.png"
FILES = (METRICS_JSON, METRICS_CSV, RECORDS, PROPERTIES_PNG, MOLECULES_PNG)


def check_output(request: GenerationRequest) -> None:
    """Refuse an output that cannot be written or whose place is taken, before anything is read."""
    if request.output == "-":
        return
    folder = request.folder
    written = [Path(request.output)] if folder is None else [folder / name for name in FILES]
    if folder is not None:
        _check_folder(request.output, folder)
    for path in written:
        if path.exists() and not request.overwrite:
            raise OutputError(f"{path} exists; use --overwrite to replace it")
        for source in (request.generated, request.reference, request.train):
            # a folder that is to be made holds nothing yet
            if path.parent.is_dir() or folder is None:
                check_place(source or "-", str(path), "evaluate generation", overwrite=True)


def _check_folder(text: str, folder: Path) -> None:
    """Refuse what is a file, or is called as one."""
    if folder.is_file():
        raise OutputError(f"{folder} is a file; give a folder, or a name that ends in .json or .csv")
    above = next(parent for parent in folder.absolute().parents if parent.exists())
    if not above.is_dir():
        raise OutputError(f"{folder} cannot be written: {above} is a file")
    # a number may end in a point and digits
    if not folder.exists() and not text.endswith("/") and re.search("[A-Za-z]", folder.suffix):
        raise OutputError(
            f"{folder}: the suffix names no format; known are .json and .csv (a folder of that name: {folder}/)"
        )
