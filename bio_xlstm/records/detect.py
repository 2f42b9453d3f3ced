"""Whether an input holds DNA, proteins or molecules: by suffix, then column name, then letters."""

import os
from collections import Counter
from collections.abc import Iterable

from bio_xlstm.errors import InputError
from bio_xlstm.records.columns import choose_column, column_kind
from bio_xlstm.records.formats import FORMAT_KIND, SUFFIX_KIND, TABLES, find_format, suffix
from bio_xlstm.records.rawfile import RawFile
from bio_xlstm.records.reader import column_names, read_records
from bio_xlstm.records.record import Record
from bio_xlstm.records.smileslines import is_heading, is_smiles
from bio_xlstm.records.text import head

SAMPLE_RECORDS = 200
SAMPLE_LETTERS = 1_000_000
NUCLEOTIDES = "ACGTUN"
# these stand for several bases, and all of them for residues too
AMBIGUOUS = frozenset("RYSWKMBDHVX")
SHARE = 0.95
# formats that never hold molecules: a broken record or two does not hide their kind
SEQUENCE_FORMATS = frozenset(("fasta", "fastq", "stockholm"))

# marks of structure that no sequence carries, and the atoms that need no bracket
BONDS_AND_RINGS = frozenset("=#()[]@/\\123456789")
ATOM_LETTERS = frozenset("BCNOPSFILRbcnopslr")
# what may stand between the letters of a sequence: gaps, stops, unknown
BETWEEN = frozenset("-.*?0123456789 \t\r\n")


def detect_kind(
    path: str | os.PathLike[str], *, column: str | None = None, input_format: str | None = None
) -> str:
    """Return "dna" (RNA too), "protein" or "smiles" for a file; "-" cannot be read again, use `open_records`.

    Letters decide last: 95 % of ACGTUN is DNA, so a file of peptides such as ACGT alone needs its kind said.
    Raise InputError when nothing tells: also when there is less ACGTUN, yet every letter is a nucleotide code
    (RYSWKMBDHVX too), which may be ambiguous DNA or peptides such as RGDS.
    """
    raw = RawFile(path)
    return find_kind(raw, find_format(raw, input_format), column)


def find_kind(raw: RawFile, form: str | None, column: str | None = None) -> str:
    """Return the kind of an open input; `form` None stands for plain lines of unknown kind."""
    if form in FORMAT_KIND:
        return FORMAT_KIND[form]
    if (by_suffix := SUFFIX_KIND.get(suffix(raw.name))) is not None:
        return by_suffix
    if form in TABLES:
        names = column_names(raw, form)
        chosen = names[choose_column(names, kind=None, column=column, source=raw.name)]
        if by_name := column_kind(chosen):
            return by_name
    if form is None and is_heading(head(raw).lstrip().partition("\n")[0]):
        return "smiles"
    texts = sample(read_records(raw, form or "lines", kind=None, column=column))
    if form not in SEQUENCE_FORMATS and look_like_smiles(texts):
        return "smiles"
    if not texts:
        raise InputError(f"{raw.name}: no record holds a sequence; say its --kind or name a model with -m")
    counts = Counter[str]()
    for text in texts:
        counts.update(text.upper())
    if may_be_either(counts):
        raise InputError(
            f"{raw.name}: every letter is a nucleotide code, yet many are ambiguous: DNA or peptides? "
            "say --kind dna or --kind protein, or name a model with -m"
        )
    if (by_letters := sequence_kind(counts, 0.5 if form in SEQUENCE_FORMATS else SHARE)) is not None:
        return by_letters
    raise InputError(
        f"{raw.name}: cannot tell DNA, protein and SMILES apart here; name a model with -m, or the --kind"
    )


def sample(records: Iterable[Record]) -> list[str]:
    """Return the texts of the first records that have any."""
    texts: list[str] = []
    letters = 0
    for record in records:
        if text := record.text.strip():
            texts.append(text[:SAMPLE_LETTERS])
            letters += len(text)
        if record.row + 1 >= SAMPLE_RECORDS or letters >= SAMPLE_LETTERS:
            break
    return texts


def look_like_smiles(texts: list[str]) -> bool:
    """Say whether most texts could be SMILES, and bonds, rings or their few letters rule out sequences."""
    words = [text.split(None, 1)[0] for text in texts]
    matching = [word for word in words if is_smiles(word)]
    if 2 * len(matching) < len(words) or not words:
        return False
    symbols = set().union(*matching)
    # N alone is an unknown base
    return bool(symbols & BONDS_AND_RINGS) or (set().union(*words) <= ATOM_LETTERS and symbols != {"N"})


def may_be_either(counts: Counter[str]) -> bool:
    """Say whether the letters are nucleotide codes, too many of them ambiguous, and no stop shows a protein."""
    found = {symbol for symbol in counts if "A" <= symbol <= "Z"}
    bases = sum(counts[symbol] for symbol in NUCLEOTIDES)
    ambiguous = sum(counts[symbol] for symbol in AMBIGUOUS)
    return found <= AMBIGUOUS | set(NUCLEOTIDES) and bases < SHARE * (bases + ambiguous) and not counts["*"]


def sequence_kind(counts: Counter[str], least: float = SHARE) -> str | None:
    """Return "dna" or "protein" by the share of letters, None when fewer than `least` of the symbols are letters."""
    visible = sum(n for symbol, n in counts.items() if symbol not in BETWEEN)
    letters = sum(n for symbol, n in counts.items() if "A" <= symbol <= "Z")
    if not letters or letters < least * visible:
        return None
    return "dna" if sum(counts[symbol] for symbol in NUCLEOTIDES) >= SHARE * letters else "protein"
