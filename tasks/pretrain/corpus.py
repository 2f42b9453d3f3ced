"""Prepare a corpus once: read, tokenise, deduplicate, split, write token files."""

import errno
import hashlib
import json
import logging
import os
import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bio_xlstm.errors import ConfigError, InputError, OutputError
from bio_xlstm.tasks.pretrain.data_settings import DataSettings
from bio_xlstm.tasks.pretrain.gathering import Gathered, first_copies, gather
from bio_xlstm.tasks.pretrain.luck import chance
from bio_xlstm.tasks.pretrain.parts import HELD_OUT, STORES, TEST, TRAIN
from bio_xlstm.tasks.pretrain.reading import Reader, existing, expand
from bio_xlstm.tasks.pretrain.run_folder import make_folder
from bio_xlstm.tasks.pretrain.settings import Recipe
from bio_xlstm.tasks.pretrain.split import SPLITTERS
from bio_xlstm.tasks.pretrain.token_store import Cuts, TokenStore, copy_store, read_store
from bio_xlstm.tasks.pretrain.turns import one_at_a_time
from bio_xlstm.tokenizers import TOKENIZERS

log = logging.getLogger(__name__)

REPORT = "report.json"


class Corpus(NamedTuple):
    """Hold the parts of a prepared corpus and what became of the records."""

    train: TokenStore
    held_out: TokenStore
    domains: tuple[str, ...]
    report: dict[str, Any]  # counts per domain
    test: TokenStore  # never looked at while training or choosing


def prepare(recipe: Recipe, data: Path, cache: Path) -> Corpus:
    """Return the corpus of a recipe, from the cache when the same files were prepared before.

    Of the processes and runs that want the same corpus at once, one prepares it and the others wait for it.
    """
    check_files(recipe.data, data)
    folder = cache / f"{recipe.corpus_key()}-{_files_key(recipe.data, data)}"
    # what is there is never written again, so that it is read without waiting, from a disk without write access too
    if not (folder / REPORT).exists():
        make_folder(cache)
        with one_at_a_time(folder):
            if not (folder / REPORT).exists():
                _write(recipe.data, data, folder)
    report = json.loads((folder / REPORT).read_text())
    names = tuple(domain.name for domain in recipe.data.domains)
    train, held_out, test = (read_store(folder / name) for name in STORES)
    return Corpus(train, held_out, names, report, test)


def _write(settings: DataSettings, data: Path, folder: Path) -> None:
    """Prepare a corpus beside its final place and move it there when it is complete."""
    partial = folder.with_name(f"{folder.name}.partial")
    # left by a run that was killed
    shutil.rmtree(partial, ignore_errors=True)
    try:
        _fill(settings, data, partial)
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(partial, folder)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise OutputError(f"no space is left for the prepared data under {folder.parent} (--cache)") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _fill(settings: DataSettings, data: Path, folder: Path) -> None:
    """Write the files of a corpus into an empty folder.

    Memory holds some dozen bytes per sequence, and one file record or family at a time.
    """
    tokenizer = TOKENIZERS[settings.kind]()
    reader = Reader(settings.kind, tokenizer, data, case=settings.soft_mask_weight != 1)
    found = (item for number, domain in enumerate(settings.domains) for item in reader.read(number, domain))
    gathered = gather(
        found,
        folder / "gathered",
        np.dtype(tokenizer.dtype),
        settings.seed,
        scaffolds=settings.split == "scaffold",
    )
    for number, domain in enumerate(settings.domains):
        _check_readable(settings.kind, domain.name, reader, bool((gathered.store.domains == number).any()))
    kept = first_copies(gathered)
    log.info("%d distinct sequences read; splitting by %s", kept.sum(), settings.split)
    parts = SPLITTERS[settings.split](gathered, kept, settings)
    drawn = {f"{name}_drawn": parts[part] for name, part in STORES.items() if part != TRAIN}
    for part in (HELD_OUT, TEST):
        parts[part] = _limit(gathered, parts[part], settings.held_out_limit, settings.seed)
    for name, part in STORES.items():
        copy_store(gathered.store, parts[part], folder / name)
    lists = {name: parts[part] for name, part in STORES.items()} | (drawn if settings.held_out_limit else {})
    report = _report(settings, gathered, kept, lists, reader.counts)
    (folder / REPORT).write_text(json.dumps(report, indent=1))
    del gathered
    shutil.rmtree(folder / "gathered")


def _check_readable(kind: str, name: str, reader: Reader, found: bool) -> None:
    """Refuse a domain of which nothing can be read."""
    read = reader.counts[name, "read"]
    if read and not found:
        raise InputError(
            f"domain {name!r}: none of {read:,} records can be read as {kind}: {reader.examples[name]}"
        )


def unreadable_records(report: Mapping[str, Any]) -> str:
    """Say how many records of a domain could not be read, and why; "" where all could."""
    reasons = report.get("unreadable", {})
    listed = ", ".join(f"{count:,} {status}" for status, count in reasons.items())
    return f"left out {sum(reasons.values()):,} of {report['read']:,} records ({listed})" if reasons else ""


def _limit(gathered: Gathered, cuts: Cuts, limit: int, seed: int) -> Cuts:
    """Keep the pieces of every domain with the lowest hashes, in their order."""
    if not limit:
        return cuts
    store = gathered.store
    begins = store.offsets[cuts.piece]
    ranks = np.array(
        [
            chance(store.tokens[begin + first : begin + last].tobytes(), seed + 1)
            for begin, first, last in zip(begins.tolist(), cuts.begin, cuts.end, strict=True)
        ]
    )
    domains = store.domains[cuts.piece]
    kept = [
        mine[np.argsort(ranks[mine], kind="stable")[:limit]]
        for mine in (np.flatnonzero(domains == domain) for domain in np.unique(domains))
    ]
    chosen = np.sort(np.concatenate(kept)) if kept else np.zeros(0, np.int64)
    return Cuts(*(field[chosen] for field in cuts))


def _report(
    settings: DataSettings,
    gathered: Gathered,
    kept: np.ndarray,
    parts: dict[str, Cuts],
    counts: Counter[tuple[str, str]],
) -> dict[str, Any]:
    """Count records, sets and tokens of every domain through all steps, and in every named part."""
    store = gathered.store
    lengths = np.diff(store.offsets)
    distinct = Cuts(np.flatnonzero(kept), np.zeros(kept.sum(), np.int64), lengths[kept])
    report: dict[str, Any] = {}
    for number, domain in enumerate(settings.domains):
        unreadable = {key: n for (name, key), n in counts.items() if name == domain.name and key != "read"}
        entry: dict[str, Any] = {"read": counts[domain.name, "read"]}
        entry |= {"unreadable": unreadable} if unreadable else {}
        repeated = int((~kept & (store.domains == number)).sum())
        entry |= {"repeated": repeated} if repeated else {}
        for title, cuts in {"distinct": distinct, **parts}.items():
            mine = store.domains[cuts.piece] == number
            tokens = int((cuts.end - cuts.begin)[mine].sum())
            entry |= {title: int(mine.sum()), f"{title}_tokens": tokens}
            if domain.sets != "none":
                entry[f"{title}_sets"] = len(np.unique(store.sets[cuts.piece][mine]))
        report[domain.name] = entry
    return report


def check_files(settings: DataSettings, data: Path) -> None:
    """Refuse unknown kinds and missing files before any work."""
    if settings.kind not in TOKENIZERS:
        raise ConfigError(f"[data] kind must be one of {', '.join(TOKENIZERS)}, not {settings.kind!r}")
    for domain in settings.domains:
        expand(data, domain)
        if domain.regions:
            existing(data / domain.regions, domain)


def _files_key(settings: DataSettings, data: Path) -> str:
    """Hash the bytes of all files and the tokenizer."""
    described = json.dumps(TOKENIZERS[settings.kind]().to_json(), sort_keys=True)
    digest = hashlib.sha256(described.encode())
    for domain in settings.domains:
        paths = [*expand(data, domain), *([data / domain.regions] if domain.regions else [])]
        digest.update(json.dumps([path.relative_to(data).as_posix() for path in paths]).encode())
        for path in paths:
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]
