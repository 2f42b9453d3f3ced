"""Tables written on the spot, and small assays."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bio_xlstm.tasks.assay.assay import Assay
from bio_xlstm.tasks.assay.table import read_assay

MOLECULES = [
    *("CCO", "CCCO", "CCCCO", "CC(C)O", "CCN", "CCCN", "c1ccccc1", "Cc1ccccc1", "CCc1ccccc1", "Oc1ccccc1"),
    *("Nc1ccccc1", "c1ccncc1", "Cc1ccncc1", "CCc1ccncc1", "C1CCCCC1", "CC1CCCCC1", "OC1CCCCC1", "C1CCNCC1"),
    *("CC1CCNCC1", "c1ccc2ccccc2c1", "Cc1ccc2ccccc2c1", "c1ccoc1", "Cc1ccoc1", "c1ccsc1", "Cc1ccsc1"),
    *("CC(=O)O", "CCC(=O)O", "CC(=O)OC", "CCOCC", "CCCl"),
]
Read = Callable[..., Assay]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Return a function that writes a table, text or columns, and reads it as an assay."""

    def call(content: str | dict[str, Sequence[Any]], name: str = "data.csv", **options: Any) -> Assay:
        if isinstance(content, dict):
            rows = zip(*content.values(), strict=True)
            content = "\n".join([",".join(content), *(",".join(map(str, row)) for row in rows)]) + "\n"
        path = tmp_path / name
        path.write_text(content)
        return read_assay(path, **options)

    return call


def proteins(count: int, length: int = 30, seed: int = 0) -> list[str]:
    """Draw proteins."""
    rng = np.random.default_rng(seed)
    return ["M" + "".join(rng.choice(list("ACDEFGHIKLMNPQRSTVWY"), length - 1)) for _ in range(count)]


def bases(count: int, length: int = 60, seed: int = 0) -> list[str]:
    """Draw DNA."""
    rng = np.random.default_rng(seed)
    return ["".join(rng.choice(list("ACGT"), length)) for _ in range(count)]
