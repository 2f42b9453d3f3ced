"""A picture of molecules, side by side."""

from collections.abc import Sequence
from typing import Any

_COLUMNS = 6
_PANEL = (230, 200)


def draw_molecules(molecules: Sequence[tuple[str, str]]) -> bytes:
    """Draw SMILES with their legends in rows of six, as PNG."""
    from rdkit import Chem
    from rdkit.Chem.Draw import rdMolDraw2D
    from rdkit.rdBase import BlockLogs

    columns = min(_COLUMNS, len(molecules))
    rows = -(-len(molecules) // columns)
    width, height = _PANEL
    drawing = rdMolDraw2D.MolDraw2DCairo(columns * width, rows * height, width, height)
    # the stubs of RDKit know its settings as classes
    options: Any = drawing.drawOptions()
    options.legendFontSize = 13
    options.legendFraction = 0.12
    options.padding = 0.06
    with BlockLogs():
        found = [Chem.MolFromSmiles(smiles) for smiles, _ in molecules]
        drawing.DrawMolecules(found, legends=[legend for _, legend in molecules])
    drawing.FinishDrawing()
    return bytes(drawing.GetDrawingText())
