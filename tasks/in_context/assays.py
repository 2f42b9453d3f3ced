"""Tables of many assays: molecules counted once each, labels, and descriptions that are computed once and kept."""

import hashlib
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from bio_xlstm.errors import InputError
from bio_xlstm.in_context.config import InContextConfig
from bio_xlstm.in_context.described import Described, describe
from bio_xlstm.in_context.prints import width
from bio_xlstm.records import open_records
from bio_xlstm.records.chemistry import parsed
from bio_xlstm.tasks.assay.reading import read_cells
from bio_xlstm.tasks.in_context.recipe import AssayFiles, EpisodeSettings

if TYPE_CHECKING:
    from bio_xlstm.models.model import SequenceModel

# molecules described at a time
_BLOCK = 4096
_BELOW, _ABOVE = frozenset(("<", "<=", "<<")), frozenset((">", ">=", ">>"))


class Assay(NamedTuple):
    """Hold the N different molecules of one assay."""

    name: str
    molecules: np.ndarray  # (N,) int64, rows of the molecules' table
    classes: np.ndarray  # (N,) float32, 0 or 1
    numbers: np.ndarray  # (N,) float32, NaN where there is none
    relations: np.ndarray  # (N,) int8, -1 where the true number is below, 1 where it is above


class AssayTable(NamedTuple):
    """Hold assays and the M molecules that they are about."""

    assays: list[Assay]
    smiles: list[str]  # (M,)
    refused: int
    """rows whose molecule RDKit or the tokenizer cannot read"""
    repeated: int
    """rows of a molecule that its assay holds already, or contradicts"""
    apart: int = 0
    """rows of a molecule that is kept apart for evaluation"""


def molecules_in(paths: Iterable[str | Path]) -> frozenset[str]:
    """Return the molecules of files of any format, without stereo marks; what cannot be read is none."""
    texts = {record.text for path in paths for record in open_records(str(path), kind="smiles")}
    return frozenset(flat for text in texts if (flat := _flat(text)) is not None)


def read_assays(
    path: str | Path, files: AssayFiles, encoder: "SequenceModel", apart: Collection[str] = ()
) -> AssayTable:
    """Read a table with one row per assay and molecule; molecules kept apart (`molecules_in`) are left out.

    What RDKit or the encoder cannot read is left out. Molecules that differ in stereo marks alone are one in an assay,
    as fingerprints see them; where their classes contradict each other, all are left out.
    """
    name, columns = read_cells(str(path))
    wanted = (files.assay_column, files.molecule_column, files.class_column)
    for column in wanted:
        if column not in columns:
            raise InputError(f"{name}: there is no column {column!r}; the columns are {', '.join(columns)}")
    count = len(columns[files.assay_column])
    empty = [""] * count
    known: dict[str, str | None] = {}
    order: dict[str, int] = {}
    smiles: list[str] = []
    rows: dict[str, dict[str, list[tuple[int, float, float, int]]]] = {}
    refused = kept_apart = 0
    cells = zip(
        *(columns[column] for column in wanted),
        columns.get(files.number_column, empty),
        columns.get(files.relation_column, empty),
        strict=True,
    )
    for assay, text, positive, number, relation in cells:
        if text not in known:
            known[text] = _flat(text) if _has_tokens(text, encoder) else None
        flat = known[text]
        if flat is None or positive == "":
            refused += 1
            continue
        if flat in apart:
            kept_apart += 1
            continue
        if flat not in order:
            order[flat] = len(smiles)
            smiles.append(text)
        value = float(number) if number not in ("", "nan") else np.nan
        bound = (relation in _ABOVE) - (relation in _BELOW)
        rows.setdefault(assay, {}).setdefault(flat, []).append(
            (order[flat], float(positive), value, -bound if files.falling else bound)
        )
    assays = [_assay(assay, list(members.values())) for assay, members in rows.items()]
    kept = sum(len(assay.molecules) for assay in assays)
    usable = [assay for assay in assays if 0 < assay.classes.sum() < len(assay.classes)]
    return AssayTable(usable, smiles, refused, count - refused - kept_apart - kept, kept_apart)


def hold_back(
    assays: Sequence[Assay], settings: EpisodeSettings, *, known_molecules: bool = False
) -> tuple[list[Assay], list[Assay]]:
    """Divide assays into those to train on and those to weigh on; no molecule is in both, unless that is asked for.

    What remains of an assay without the molecules of the second part is left out where it has one class alone.
    """
    if not settings.weighing_steps:
        return list(assays), []
    order = np.random.default_rng((settings.seed, 1)).permutation(len(assays))
    chosen = order[: round(settings.weighing_share * len(assays))]
    weighed = [assays[place] for place in sorted(chosen.tolist())]
    taken = np.unique(np.concatenate([np.zeros(0, np.int64), *(assay.molecules for assay in weighed)]))
    others = [assays[place] for place in sorted(order[len(chosen) :].tolist())]
    if known_molecules:
        return others, weighed
    rest = [Assay(one.name, *(part[~np.isin(one.molecules, taken)] for part in one[1:])) for one in others]
    return [one for one in rest if 0 < one.classes.sum() < len(one.classes)], weighed


def describe_all(
    smiles: list[str], encoder: "SequenceModel", config: InContextConfig, cache: Path | None
) -> Described:
    """Describe molecules, or read what an earlier run with the same molecules and encoder kept in `cache`."""
    facts = [encoder.weight_hash(), f"{config.bits} {width(config.prints)}", *smiles]
    key = hashlib.sha256("\n".join(facts).encode()).hexdigest()[:16]
    path = None if cache is None else cache / f"molecules-{key}.npz"
    if path is not None and path.exists():
        with np.load(path) as kept:
            bits, offsets, counts, *rest = (torch.from_numpy(kept[name]) for name in Described._fields)
        return Described(bits.long(), offsets, counts.float(), *rest)
    blocks = []
    for begin in range(0, len(smiles), _BLOCK):
        found = describe(encoder, smiles[begin : begin + _BLOCK], config)
        blocks.append(found._replace(embeddings=found.embeddings.half()))
    joined = _join(blocks)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.stem}.partial.npz")
        # counts beyond 255 say no more than 255
        small = joined._replace(bits=joined.bits.int(), counts=joined.counts.clamp(max=255).byte())
        np.savez(partial, **{name: part.numpy() for name, part in small._asdict().items()})
        partial.replace(path)
    return joined


def pick(described: Described, rows: np.ndarray | torch.Tensor) -> Described:
    """Return the descriptions of some molecules (N,)."""
    chosen = torch.as_tensor(rows)
    ends = torch.cat([described.offsets[1:], torch.tensor([len(described.bits)])])
    begins = described.offsets[chosen]
    sizes = ends[chosen] - begins
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), sizes.cumsum(0)[:-1]])
    places = torch.arange(int(sizes.sum())) + torch.repeat_interleave(begins - offsets, sizes)
    return Described(
        described.bits[places],
        offsets,
        described.counts[places],
        described.embeddings[chosen].float(),
        described.prints[chosen],
    )


def _join(blocks: list[Described]) -> Described:
    begins = np.cumsum([0, *(len(block.bits) for block in blocks)])
    offsets = [block.offsets + int(begin) for block, begin in zip(blocks, begins, strict=False)]
    return Described(
        torch.cat([block.bits for block in blocks]),
        torch.cat(offsets),
        torch.cat([block.counts for block in blocks]),
        torch.cat([block.embeddings for block in blocks]),
        torch.cat([block.prints for block in blocks]),
    )


def _has_tokens(text: str, encoder: "SequenceModel") -> bool:
    """Tell whether the encoder's tokenizer can read a molecule."""
    return encoder.tokenizer.prepare(text).status in ("ok", "cleaned")


def _flat(text: str) -> str | None:
    """Write a molecule without stereo marks; None where it cannot be read."""
    from rdkit.Chem import MolToSmiles
    from rdkit.rdBase import BlockLogs

    with BlockLogs():
        molecule = parsed(text)
    return None if molecule is None else str(MolToSmiles(molecule, isomericSmiles=False))


def _assay(name: str, members: list[list[tuple[int, float, float, int]]]) -> Assay:
    """Put one assay together; `members` holds the rows of each molecule."""
    kept = [rows[0] for rows in members if len({row[1] for row in rows}) == 1]
    molecules, classes, numbers, relations = zip(*kept, strict=True) if kept else ((), (), (), ())
    return Assay(
        name,
        np.array(molecules, np.int64),
        np.array(classes, np.float32),
        np.array(numbers, np.float32),
        np.array(relations, np.int8),
    )
