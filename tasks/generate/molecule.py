"""What is asked of molecules, and whether one has it; RDKit is imported at the first molecule."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from bio_xlstm.errors import ConfigError
from bio_xlstm.tasks.generate.words import Range


class Demands(NamedTuple):
    """Hold what every accepted molecule must be."""

    valid: bool
    windows: Mapping[str, Range]
    refused: tuple[Any, ...] = ()  # substructures of RDKit that it may not have
    scaffold: Any = None  # what it must keep, as `read_scaffold` gives it


def substructure(smarts: str, option: str) -> Any:
    """Read a pattern; ConfigError where RDKit cannot."""
    from rdkit import Chem
    from rdkit.rdBase import BlockLogs

    with BlockLogs():
        pattern = Chem.MolFromSmarts(smarts) if smarts.strip() else None
    if pattern is None:
        raise ConfigError(f"{option} {smarts!r} is no SMARTS pattern that RDKit can read")
    return pattern


def refuse(molecule: Any, demands: Demands) -> str:
    """Say which substructure keeps a molecule from being accepted; "" where none does."""
    if any(molecule.HasSubstructMatch(pattern) for pattern in demands.refused):
        return "unwanted substructure"
    return ""


def measure(molecule: Any, windows: Mapping[str, Range]) -> tuple[tuple[float, ...], str]:
    """Measure what is asked for, and say which window it lies outside of, "" where it lies in all."""
    measured: list[float] = []
    for name, window in windows.items():
        value = MEASURES[name](molecule)
        # as many digits as are written: what is written lies in the window
        measured.append(round(value, 4))
        if measured[-1] not in window:
            return (), f"{name} outside {window}"
    return tuple(measured), ""


def _weight(molecule: Any) -> float:
    from rdkit.Chem import Descriptors

    return float(Descriptors.MolWt(molecule))  # type: ignore[attr-defined]


def _logp(molecule: Any) -> float:
    from rdkit.Chem import Crippen

    return float(Crippen.MolLogP(molecule))  # type: ignore[attr-defined]


def _qed(molecule: Any) -> float:
    from rdkit.Chem.QED import qed

    return float(qed(molecule))


def _tpsa(molecule: Any) -> float:
    from rdkit.Chem.rdMolDescriptors import CalcTPSA

    return float(CalcTPSA(molecule))


def _accessibility(molecule: Any) -> float:
    from bio_xlstm.tasks.evaluate.properties import accessibility

    return accessibility(molecule)


# the cheap ones first
MEASURES: dict[str, Callable[[Any], float]] = {
    "weight": _weight,
    "logp": _logp,
    "tpsa": _tpsa,
    "sa": _accessibility,
    "qed": _qed,
}
