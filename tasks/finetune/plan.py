"""A run before it starts: assay, split, model, and what the model reads."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bio_xlstm.errors import ConfigError, InputError
from bio_xlstm.models.directory import default_model, load, resolve
from bio_xlstm.models.model import SequenceModel
from bio_xlstm.records import open_records
from bio_xlstm.tasks.assay.assay import Assay
from bio_xlstm.tasks.assay.splits.make import make_split
from bio_xlstm.tasks.assay.splits.split import Round, Split
from bio_xlstm.tasks.assay.table import read_assay
from bio_xlstm.tasks.catalogue import summarise
from bio_xlstm.tasks.choices import KIND_WORDS, parse_layers
from bio_xlstm.tasks.device import choose_device, device_memory
from bio_xlstm.tasks.files.opening import auto_batch_tokens
from bio_xlstm.tasks.finetune.candidates import auto_layers
from bio_xlstm.tasks.finetune.request import FinetuneRequest

Say = Callable[[str], None]
# rows of a training part without which nothing is learned
_FEWEST = 5


@dataclass(frozen=True)
class Plan:
    """Hold everything that is settled before anything is learned."""

    request: FinetuneRequest
    assay: Assay
    split: Split
    model: SequenceModel
    base: str
    """name or path of the model that is adapted"""
    ids: list[np.ndarray]
    """token ids of the usable sequences"""
    layers: tuple[int, ...]
    batch_tokens: int

    @property
    def rounds(self) -> list[Round]:
        """Return the trainings: one, or one per fold."""
        return list(self.split.rounds())

    @property
    def groups(self) -> np.ndarray:
        """Return what must stay together (N,) when the training part is divided again."""
        if self.split.groups is not None:
            return self.split.groups
        return np.unique(np.asarray(self.assay.canonical, dtype=str), return_inverse=True)[1]

    def values(self, rows: np.ndarray) -> np.ndarray | list[np.ndarray]:
        """Return the values of some sequences as metrics take them: (N, T), or classes of letters."""
        if self.assay.task.name == "per_token":
            return [self.assay.token_values[row] for row in rows.tolist()]
        return self.assay.values[rows]

    def lines(self) -> list[str]:
        """Describe the run in lines for its user."""
        task, request = self.assay.task, self.request
        what = ", ".join(task.targets[:5]) + (", ..." if len(task.targets) > 5 else "")
        sizes = ", ".join(
            f"{name} {len(part):,}" for name, part in zip(self.split.names, self.split.parts, strict=True)
        )
        return [
            f"data     {self.assay.source}: {self.assay.audit.lines()[0]}",
            f"task     {task.name} of {what}",
            *(f"note     {one}" for one in self.assay.audit.notes),
            f"split    {self.split.method}: {sizes}",
            f"model    {self.model.name}, method {request.method}",
        ]


def make_plan(request: FinetuneRequest, say: Say) -> Plan:
    """Read the assay, choose and load the model, divide the assay; raises before anything is learned."""
    kind = request.kind or _kind_of(request)
    base = request.model or default_model(kind)
    about = summarise(base)
    if about.kind != kind:
        raise InputError(
            f"{Path(request.input).name} holds {KIND_WORDS[kind]}, but the model {base} reads "
            f"{KIND_WORDS[about.kind]}; use -m {default_model(kind)}"
        )
    if request.model is None:
        say(f"{Path(request.input).name} holds {KIND_WORDS[kind]}: using the bundled model {base}")
    model = load(base, device=choose_device(request.device)).use_backend(request.backend)
    assay = read_assay(
        request.input,
        sequence_column=request.column,
        targets=request.targets or None,
        kind=kind,
        task=request.task,
        tokenizer=model.tokenizer,
        limit=request.limit,
    )
    fractions = request.fractions
    if request.folds and request.method == "head":
        # a head that is solved for stops by nothing, and each fold is calibrated on the others
        fractions = (fractions[0] + fractions[1], 0.0, fractions[2])
    split = make_split(
        assay,
        "column" if request.split_column and request.split == "random" else request.split,
        fractions=fractions,
        column=request.split_column,
        folds=request.folds,
        seed=request.seed,
        similarity=request.similarity,
    )
    _check(request, assay, split, model)
    tokens = request.batch_tokens or auto_batch_tokens(
        model.config.dim, device_memory(str(model.device)), causal=model.causal
    )
    ids = [model.tokenizer.prepare(text).ids for text in assay.sequences]
    return Plan(request, assay, split, model, _name_of(base), ids, _layers(request, model, assay), tokens)


def _kind_of(request: FinetuneRequest) -> str:
    """Find out what the input holds."""
    return open_records(request.input, column=request.column).kind


def _name_of(base: str) -> str:
    """Return a bundled name as it is, a directory by its whole path."""
    return str(resolve(base).resolve()) if Path(base).is_dir() else base


def _layers(request: FinetuneRequest, model: SequenceModel, assay: Assay) -> tuple[int, ...]:
    """Return the layers that heads may see."""
    last = model.layer_count - 1
    if request.layers != "auto":
        chosen = parse_layers(request.layers, model.layer_count)
        found = tuple(sorted({model.layer_index(int(layer)) for layer in chosen}))
        if request.method in ("lora", "state", "full") and last not in found:
            raise ConfigError(f"--method {request.method} tunes all blocks: --layers must hold the last, -1")
        return found
    # every letter keeps its vectors: two layers are enough
    return (round(last / 2), last) if assay.task.name == "per_token" else auto_layers(model.layer_count)


def _check(request: FinetuneRequest, assay: Assay, split: Split, model: SequenceModel) -> None:
    """Refuse what cannot work for this assay or model."""
    if request.method == "state" and not model.causal:
        raise ConfigError(f"--method state needs a causal model; {model.name} {model.config.sight}")
    for number, one in enumerate(split.rounds()):
        if len(one.train) < _FEWEST:
            where = f" of fold {number + 1}" if split.folds else ""
            raise InputError(
                f"{assay.source}: the training part{where} has {len(one.train)} rows; at least {_FEWEST} are needed"
            )
