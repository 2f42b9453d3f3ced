"""A newcomer is led through every file of the folder."""

import re
from pathlib import Path

import bio_xlstm.tasks.pretrain as package


def test_the_reading_order_names_every_file() -> None:
    files = {path.stem for path in Path(str(package.__file__)).parent.glob("*.py")} - {"__init__"}
    assert set(re.findall("`([a-z_]+)`", package.__doc__ or "")) == files
