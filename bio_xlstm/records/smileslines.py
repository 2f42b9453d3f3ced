"""SMILES files: one molecule per line, then a blank or a tab, then its name."""

import re
from collections.abc import Iterator

from bio_xlstm.records.columns import COLUMNS, normal
from bio_xlstm.records.rawfile import RawFile
from bio_xlstm.records.record import Record
from bio_xlstm.records.text import numbered_lines

HEADINGS = {*COLUMNS["smiles"], "structure", "molecule", "mol", "compound", "drug", "ligand"}

# what SMILES is made of, without its grammar; '>' stands in reactions
ATOM = r"(?:\[[^\[\]\s]+\]|Br|Cl|[BCNOPSFIbcnops*])"
SMILES = re.compile(rf"{ATOM}(?:{ATOM}|[0-9%()=#$:/\\.~>-])*")


def read_smiles(raw: RawFile) -> Iterator[Record]:
    """Yield one record per line; inner blank lines are empty records, those at the end are none."""
    row = 0
    blank: list[int] = []
    top = True
    for number, line in numbered_lines(raw):
        if top:
            # '#' begins no molecule: such lines at the top are remarks
            if line.startswith("#"):
                continue
            top = False
            if is_heading(line):
                continue
        parts = line.split(None, 1)
        if not parts:
            blank.append(number)
            continue
        if blank:
            for skipped in blank:
                yield Record(row, "", "", skipped)
                row += 1
            blank.clear()
        if line[0] == "\t":
            yield Record(row, line.strip(), "", number)
        elif len(parts) == 1:
            yield Record(row, "", parts[0], number)
        else:
            yield Record(row, parts[1].rstrip(), parts[0], number)
        row += 1


def is_heading(line: str) -> bool:
    """Say whether a first line names its columns, as `SMILES name` does: none of `HEADINGS` is a molecule."""
    return normal(re.split(r"[\s,;]+", line.strip())[0]) in HEADINGS


def is_smiles(line: str) -> bool:
    """Say whether the first word of a line is made of nothing but SMILES symbols."""
    return bool((words := line.split(None, 1)) and SMILES.fullmatch(words[0]))
