"""What can be said about a model directory without loading the network."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bio_xlstm.errors import ModelError
from bio_xlstm.in_context.config import FAMILY as LEARNER
from bio_xlstm.models.directory import (
    CARD,
    TOKENIZER,
    WEIGHTS,
    bundled_learners,
    bundled_names,
    read_config,
    resolve,
)
from bio_xlstm.tokenizers import load_tokenizer

# what in-context learners read
LEARNER_KIND = "smiles"


@dataclass(frozen=True)
class ModelSummary:
    """Describe a model as `models list` and `models info` print it."""

    name: str
    directory: Path
    config: dict[str, Any]
    """Settings of the network, as in config.json."""
    kind: str
    """What the model reads: dna, protein or smiles."""
    symbols: tuple[str, ...]
    """The vocabulary in the order of the ids; none of an in-context learner."""
    parameters: int
    """How many numbers the weights hold."""
    bytes: int
    """Size of the directory's files."""
    licence: str
    """What the model card says about licences; empty where it says nothing."""
    data: str
    """The data sets that the model card lists; empty where it lists none."""

    @property
    def learner(self) -> bool:
        """Tell whether this is an in-context learner, which reads sequences through a language model."""
        return self.config.get("family") == LEARNER

    @property
    def direction(self) -> str:
        """Say how the model reads."""
        if self.learner:
            return f"labelled examples in any order, through {self.config.get('encoder')}"
        how = str(self.config.get("direction", "causal"))
        strands = {"post_hoc": ", strands averaged", "equivariant": ", both strands alike"}
        tied = strands.get(str(self.config.get("reverse_complement", "none")), "")
        return ("left to right, any length" if how == "causal" else f"both ways ({how})") + tied


def bundled_models() -> list[ModelSummary]:
    """Describe the models that come with the library, language models first."""
    return [summarise(name) for name in (*bundled_names(), *bundled_learners())]


def summarise(name_or_path: str | Path) -> ModelSummary:
    """Describe a bundled model, a directory or a hub model; ModelError names a missing or damaged file.

    >>> summarise("chem-small").kind
    'smiles'
    """
    directory = resolve(name_or_path)
    config = read_config(directory)
    learner = config.get("family") == LEARNER
    for file in (WEIGHTS,) if learner else (TOKENIZER, WEIGHTS):
        if not (directory / file).is_file():
            raise ModelError(f"{directory} is not a complete model directory: {file} is missing")
    tokenizer = None if learner else load_tokenizer(directory / TOKENIZER)
    card = _read_card(directory)
    return ModelSummary(
        name=str(config.pop("name", directory.resolve().name)),
        directory=directory,
        config=config,
        kind=LEARNER_KIND if tokenizer is None else tokenizer.kind,
        symbols=() if tokenizer is None else tuple(tokenizer.vocabulary.symbols),
        parameters=count_parameters(directory / WEIGHTS),
        bytes=sum(path.stat().st_size for path in directory.iterdir() if path.is_file()),
        licence=licence_in(card),
        data=data_in(card),
    )


def count_parameters(weights: Path) -> int:
    """Add up the sizes that the header of a safetensors file states; no weight is read."""
    from math import prod

    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(weights), framework="numpy") as file:
            names = list(file.keys())
            return sum(prod(file.get_slice(name).get_shape()) for name in names)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{weights} is damaged: {error}") from None


def weight_hash(name_or_path: str | Path) -> str:
    """Load a model or an in-context learner and return the hash of its weights."""
    from bio_xlstm.in_context.directory import is_in_context, load_in_context
    from bio_xlstm.models.directory import load

    loads = load_in_context if is_in_context(name_or_path) else load
    return loads(name_or_path).weight_hash()


def licence(name_or_path: str | Path) -> str:
    """Return what a model's card says about licences, empty where it says nothing."""
    return licence_in(_read_card(resolve(name_or_path)))


def licence_in(card: str) -> str:
    """Return the licence that a card states in a line `Licence: ...`, else those of its table of data.

    >>> licence_in("| domain | licence |\\n|---|---|\\n| zinc | free use |\\n| qm9 | MIT |")
    'data: free use; MIT'
    """
    for line in card.splitlines():
        words = re.sub(r"[*_`>]+", "", line).strip(" -")
        if match := re.match(r"licen[cs]e\s*:\s*(.+)", words, re.IGNORECASE):
            return match[1].strip()
    licences = dict.fromkeys(row["licence"] for row in table_rows(card, "licence"))
    return f"data: {'; '.join(licences)}" if licences else ""


def data_in(card: str) -> str:
    """Return the names of the data sets in a card's table of data, with what was trained on, in one line."""
    rows = table_rows(card, "trained on")
    return "; ".join(f"{next(iter(row.values()))} ({row['trained on']})" for row in rows)


def table_rows(card: str, column: str) -> list[dict[str, str]]:
    """Return the rows of the first Markdown table that has a column of this name, by lower-case column name."""
    header: list[str] | None = None
    rows: list[dict[str, str]] = []
    for line in card.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.strip().startswith("|"):
            if header:
                break
        elif header is None:
            names = [cell.lower() for cell in cells]
            header = names if column in names else None
        elif len(cells) == len(header) and not set("".join(cells)) <= set("-: "):
            rows.append(dict(zip(header, cells, strict=True)))
    return rows


def _read_card(directory: Path) -> str:
    """Read the model card, empty where there is none."""
    path = directory / CARD
    return path.read_text(encoding="utf-8") if path.is_file() else ""
