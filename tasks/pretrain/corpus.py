"""Prepare a corpus once: read, tokenise, deduplicate, split, write token files."""

import hashlib
import json
import logging
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bio_xlstm.errors import ConfigError, InputError
from bio_xlstm.records import open_records
from bio_xlstm.tasks.pretrain.settings import Domain, Recipe
from bio_xlstm.tasks.pretrain.split import SPLITTERS, chance
from bio_xlstm.tasks.pretrain.token_store import Piece, TokenStore, collect, read_store, write_store
from bio_xlstm.tokenizers import TOKENIZERS

log = logging.getLogger(__name__)


class Corpus(NamedTuple):
    """Hold the two parts of a prepared corpus and what became of the records."""

    train: TokenStore
    held_out: TokenStore
    domains: tuple[str, ...]
    report: dict[str, Any]  # counts per domain


def prepare(recipe: Recipe, data: Path, cache: Path) -> Corpus:
    """Return the corpus of a recipe, from the cache when the same files were prepared before."""
    _check_files(recipe, data)
    folder = cache / f"{recipe.corpus_key()}-{_files_key(recipe, data)}"
    if not (folder / "report.json").exists():
        _write(recipe, data, folder)
    report = json.loads((folder / "report.json").read_text())
    names = tuple(domain.name for domain in recipe.data.domains)
    return Corpus(read_store(folder / "train"), read_store(folder / "held_out"), names, report)


def _write(recipe: Recipe, data: Path, folder: Path) -> None:
    """Prepare a corpus beside its final place and move it there when it is complete."""
    settings = recipe.data
    tokenizer = TOKENIZERS[settings.kind]()
    counts: Counter[str] = Counter()
    pieces = list(_distinct(_read(recipe, data, tokenizer, counts), settings.domains, counts))
    log.info("%d distinct sequences read; splitting by %s", len(pieces), settings.split)
    train, held = SPLITTERS[settings.split](pieces, settings.domains, settings.seed)
    held = _limit(held, settings.held_out_limit, settings.seed)
    partial = folder.with_name(f"{folder.name}.partial-{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    write_store(collect(train, np.dtype(tokenizer.dtype)), partial / "train")
    write_store(collect(held, np.dtype(tokenizer.dtype)), partial / "held_out")
    report = _report(settings.domains, pieces, train, held, counts)
    (partial / "report.json").write_text(json.dumps(report, indent=1))
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(partial, folder)


def _read(recipe: Recipe, data: Path, tokenizer: Any, counts: Counter[str]) -> Iterator[Piece]:
    """Tokenise the records of every file; records that cannot be tokenised are counted."""
    keep_text = recipe.data.split == "scaffold"
    for number, domain in enumerate(recipe.data.domains):
        for name in domain.files:
            for text in _texts(data / name, recipe.data.kind, domain.limit // len(domain.files)):
                counts[f"{domain.name} read"] += 1
                prepared = tokenizer.prepare(text)
                if len(prepared.ids):
                    yield Piece(prepared.ids, number, text=text if keep_text else "")
                else:
                    counts[f"{domain.name} {prepared.status}"] += 1


def _texts(path: Path, kind: str, limit: int) -> Iterator[str]:
    """Yield the texts of a file, or about `limit` of them spread evenly."""
    if not limit:
        yield from (record.text for record in open_records(path, kind=kind) if record.status == "ok")
        return
    total = sum(1 for _ in open_records(path, kind=kind))
    for row, record in enumerate(open_records(path, kind=kind)):
        # keeps row r when floor(r * limit / total) rises
        if record.status == "ok" and (row + 1) * limit // total > row * limit // total or limit >= total:
            yield record.text


def _distinct(pieces: Iterator[Piece], domains: Sequence[Domain], counts: Counter[str]) -> Iterator[Piece]:
    """Leave out exact repeats of a sequence."""
    seen: set[bytes] = set()
    for piece in pieces:
        digest = hashlib.blake2b(piece.ids.tobytes(), digest_size=12).digest()
        if digest in seen:
            counts[f"{domains[piece.domain].name} repeated"] += 1
            continue
        seen.add(digest)
        yield piece


def _limit(held: Sequence[Piece], limit: int, seed: int) -> list[Piece]:
    """Keep the held-out pieces of every domain with the lowest hashes, in their order."""
    if not limit:
        return list(held)
    ranks = [chance(piece.ids.tobytes(), seed + 1) for piece in held]
    kept = set()
    for domain in {piece.domain for piece in held}:
        mine = [n for n, piece in enumerate(held) if piece.domain == domain]
        kept.update(sorted(mine, key=ranks.__getitem__)[:limit])
    return [piece for n, piece in enumerate(held) if n in kept]


def _report(
    domains: Sequence[Domain],
    pieces: Sequence[Piece],
    train: Sequence[Piece],
    held: Sequence[Piece],
    counts: Counter[str],
) -> dict[str, Any]:
    """Count records and tokens of every domain through all steps."""
    report: dict[str, Any] = {}
    for number, domain in enumerate(domains):
        entry = {
            key.removeprefix(f"{domain.name} "): n
            for key, n in counts.items()
            if key.startswith(f"{domain.name} ")
        }
        for title, part in (("distinct", pieces), ("train", train), ("held_out", held)):
            lengths = [len(piece.ids) for piece in part if piece.domain == number]
            entry |= {title: len(lengths), f"{title}_tokens": sum(lengths)}
        report[domain.name] = entry
    return report


def _check_files(recipe: Recipe, data: Path) -> None:
    """Refuse unknown kinds and missing files before any work."""
    if recipe.data.kind not in TOKENIZERS:
        raise ConfigError(f"[data] kind must be one of {', '.join(TOKENIZERS)}, not {recipe.data.kind!r}")
    for domain in recipe.data.domains:
        for name in domain.files:
            if not (data / name).is_file():
                raise InputError(
                    f"{data / name} (domain {domain.name!r}) does not exist; name the data folder with --data"
                )


def _files_key(recipe: Recipe, data: Path) -> str:
    """Hash the bytes of all files and the tokenizer."""
    digest = hashlib.sha256(json.dumps(TOKENIZERS[recipe.data.kind]().to_json(), sort_keys=True).encode())
    for domain in recipe.data.domains:
        digest.update(json.dumps(asdict(domain)["files"]).encode())
        for name in domain.files:
            digest.update(hashlib.sha256((data / name).read_bytes()).digest())
    return digest.hexdigest()[:16]
