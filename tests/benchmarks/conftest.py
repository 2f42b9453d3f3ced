"""Run the scripts of the model cards in this process, on models, recipes and sequences of seconds."""

import importlib
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import bio_xlstm as bx


@pytest.fixture
def load(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ModuleType]]:
    """Return a function that imports a module of the folder as its scripts do; forget them all afterwards."""
    folder = root / "benchmarks"
    monkeypatch.syspath_prepend(str(folder))
    yield importlib.import_module
    for path in folder.glob("*.py"):
        sys.modules.pop(path.stem, None)


@pytest.fixture
def run(
    load: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Return a function that runs a script in this process and returns what it printed."""

    def called(script: str, *arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", [f"{script}.py", *map(str, arguments)])
        load(script).main()
        return capsys.readouterr().out

    return called


@dataclass(frozen=True)
class Shop:
    """Make what scripts work on, in one folder."""

    folder: Path

    def recipe(self, kind: str, model: str, domains: str, split: str = "hash") -> Path:
        """Write a recipe."""
        path = self.folder / "tiny.toml"
        path.write_text(
            f'name = "tiny"\n[model]\n{model}\ndim = 32\nblocks = 1\nheads = 2\n'
            f'[data]\nkind = "{kind}"\nsplit = "{split}"\nwindow = 32\n{domains}\n'
            '[training]\nsteps = 4\nbatch_tokens = 128\nwarmup = 1\nlearning_rate = 1e-3\naccelerator = "cpu"\n'
            "threads = 1\nvalidate_every = 4\ncheckpoint_every = 4\n"
        )
        return path

    def domain(self, name: str, file: str, **settings: object) -> str:
        """Describe one domain of a recipe."""
        lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
        return "\n".join(["[[data.domains]]", f'name = "{name}"', f'files = ["{file}"]', *lines]) + "\n"

    def fasta(self, name: str, count: int, letters: str, length: int, seed: int = 0) -> Path:
        """Write random sequences."""
        rng = np.random.default_rng(seed)
        rows = ("".join(rng.choice(list(letters), length + n % 5)) for n in range(count))
        (self.folder / name).write_text("".join(f">{n}\n{row}\n" for n, row in enumerate(rows)))
        return self.folder / name

    def model(self, family: str, **settings: Any) -> Path:
        """Write the directory of a small model with fresh weights."""
        model = bx.build(family, dim=32, blocks=2, heads=2, **settings)
        model.name = "tiny"
        model.save(self.folder / "model", card="# tiny\n\n## Held-out quality\n\nold\n")
        return self.folder / "model"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """Return what makes models, recipes and sequences in an empty folder."""
    return Shop(tmp_path)


@pytest.fixture
def molecules(shop: Shop) -> Path:
    """Write a recipe for molecules, with a held-out and a test part."""
    smiles = [f"{'C' * (n % 7)}c1ccccc1{'O' * (n % 3)}{'N' * (n // 21)}" for n in range(80)]
    (shop.folder / "m.smi").write_text("\n".join(smiles) + "\n")
    domains = shop.domain("known", "m.smi", held_out=0.2, test=0.3)
    return shop.recipe("smiles", 'family = "chem"', domains)
