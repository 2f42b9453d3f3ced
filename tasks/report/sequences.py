"""How a sequence looks in a report: a molecule drawn, anything else as letters."""

import re
from typing import Any

from bio_xlstm.records.chemistry import LONGEST
from bio_xlstm.tasks.report.markup import Markup, element, text

_LETTERS = 160
_WIDTH, _HEIGHT = 220, 150
# colours that can be seen on light and on dark ground; carbon takes that of the text
_COLOURS = {7: (0.32, 0.52, 0.96), 8: (0.85, 0.25, 0.2), 16: (0.65, 0.5, 0.05), 15: (0.85, 0.45, 0.1)}
_HALOGENS = dict.fromkeys((9, 17, 35, 53), (0.1, 0.58, 0.25))


def excerpt(sequence: str, most: int = _LETTERS) -> Markup:
    """Write a sequence as letters, the middle of long ones left out."""
    if len(sequence) <= most:
        return element("code", sequence)
    half = most // 2
    shown = f"{sequence[:half]} … {sequence[-half:]}"
    return Markup(element("code", shown) + text(f" ({len(sequence):,} characters)"))


def drawing(sequence: str, kind: str) -> Markup | None:
    """Draw a molecule; None for what is no molecule, or too large to be seen."""
    if kind != "smiles":
        return None
    from rdkit import Chem, rdBase

    # neither a name nor labels behind the SMILES: they are text of strangers
    reader: Any = Chem.SmilesParserParams()
    reader.parseName = reader.allowCXSMILES = False
    with rdBase.BlockLogs():
        words = sequence.split()
        molecule = Chem.MolFromSmiles(words[0], reader) if words and len(words[0]) <= LONGEST else None
        if molecule is None or not 0 < molecule.GetNumAtoms() <= 100:
            return None
        return _drawn(molecule, sequence)


def _drawn(molecule: Any, sequence: str) -> Markup:
    """Draw as SVG without a ground of its own."""
    from rdkit.Chem import rdDepictor
    from rdkit.Chem.Draw import rdMolDraw2D

    rdDepictor.Compute2DCoords(molecule)
    draw = rdMolDraw2D.MolDraw2DSVG(_WIDTH, _HEIGHT)
    options: Any = draw.drawOptions()
    options.clearBackground = False
    options.bondLineWidth = 1.2
    options.padding = 0.06
    options.useBWAtomPalette()
    options.updateAtomPalette({**_COLOURS, **_HALOGENS})
    draw.DrawMolecule(rdMolDraw2D.PrepareMolForDrawing(molecule, kekulize=True))
    draw.FinishDrawing()
    inside = re.search(r"<svg[^>]*>(.*)</svg>", draw.GetDrawingText(), re.DOTALL)
    assert inside is not None
    paths = re.sub(r"<!--.*?-->| class='[^']*'|\n", "", inside[1]).replace("#000000", "currentColor")
    return element(
        "svg", Markup(paths), viewBox=f"0 0 {_WIDTH} {_HEIGHT}", role="img",
        aria_label=f"Structure of {sequence[:_LETTERS]}", class_="molecule",
    )  # fmt: skip
