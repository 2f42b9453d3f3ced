"""SDF files, one molecule at a time; RDKit turns each into canonical SMILES."""

from collections.abc import Iterator
from functools import partial

from bio_xlstm.records.chemistry import LONGEST, read_molecule, too_large
from bio_xlstm.records.rawfile import RawFile
from bio_xlstm.records.record import Record
from bio_xlstm.records.text import numbered_lines

DELIMITER = "$$$$"
_COUNTS = "M  V30 COUNTS"


def sdf_blocks(raw: RawFile) -> Iterator[tuple[int, list[str]]]:
    """Yield (number of its first line, lines) for every molecule; the last one may lack its `$$$$`."""
    first = 1
    block: list[str] = []
    for number, line in numbered_lines(raw):
        if line.startswith(DELIMITER):
            yield first, block
            first, block = number + 1, []
        else:
            block.append(line.rstrip("\r"))
    if any(line.strip() for line in block):
        yield first, block


def read_sdf(raw: RawFile) -> Iterator[Record]:
    """Yield one record per molecule: id is the title, text the canonical SMILES, `fields` the data items.

    A block that RDKit cannot read has status "invalid_smiles" and RDKit's reason.
    """
    from rdkit.Chem import MolFromMolBlock, MolToSmiles

    for row, (line, block) in enumerate(sdf_blocks(raw)):
        title = block[0].strip() if block else ""
        fields = data_items(block)
        atoms, read = declared_atoms(block), partial(MolFromMolBlock, "\n".join(block) + "\n")
        molecule, reason = read_molecule(read) if atoms <= LONGEST else (None, too_large(atoms, "atoms"))
        if molecule is None:
            yield Record(row, title, "", line, "invalid_smiles", f"molecule of line {line}: {reason}", fields)
        else:
            yield Record(row, title, MolToSmiles(molecule), line, fields=fields)


def declared_atoms(block: list[str]) -> int:
    """Return how many atoms the counts line of a V3000 block declares; 0 for a V2000 block, which has 999 at most."""
    for line in block:
        if line.startswith(_COUNTS):
            count = line.removeprefix(_COUNTS).split(maxsplit=1)[:1]
            return int(count[0]) if count and count[0].isdecimal() else 0
    return 0


def data_items(block: list[str]) -> dict[str, str] | None:
    """Read the data items below `M  END`: a line `> <name>`, then lines up to a blank one."""
    items: dict[str, list[str]] = {}
    current: list[str] | None = None
    below = block.index("M  END") + 1 if "M  END" in block else len(block)
    for line in block[below:]:
        if line.startswith(">") and "<" in line:
            current = items.setdefault(line[line.index("<") + 1 :].partition(">")[0], [])
        elif not line.strip():
            current = None
        elif current is not None:
            current.append(line)
    return {name: "\n".join(lines) for name, lines in items.items()} or None
