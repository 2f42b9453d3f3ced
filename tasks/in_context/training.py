"""Training of an in-context learner: episodes in, a model directory out; stopped and continued at any step."""

import logging
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

import bio_xlstm
from bio_xlstm.errors import ConfigError, OutputError
from bio_xlstm.in_context.described import Described
from bio_xlstm.in_context.directory import save_in_context
from bio_xlstm.in_context.model import InContextModel
from bio_xlstm.models.directory import CONFIG
from bio_xlstm.tasks.in_context.assays import (
    Assay,
    AssayTable,
    describe_all,
    hold_back,
    molecules_in,
    pick,
    read_assays,
)
from bio_xlstm.tasks.in_context.card import learner_card
from bio_xlstm.tasks.in_context.curves import draw_training
from bio_xlstm.tasks.in_context.episodes import Episodes, EpisodeSampler
from bio_xlstm.tasks.in_context.held_out import HeldOut
from bio_xlstm.tasks.in_context.recipe import EpisodeSettings, LearnerRecipe
from bio_xlstm.tasks.pretrain.checkpoint_file import CheckpointFile
from bio_xlstm.tasks.pretrain.log_table import LogTable
from bio_xlstm.tasks.pretrain.stop_request import StopRequest

log = logging.getLogger(__name__)

_TRAINING, _LOG_EVERY = "training", 20
_CHECKPOINT = "last.ckpt"


class Trained(NamedTuple):
    """Tell how far a run came."""

    directory: Path
    steps: int
    written: bool
    held_out: dict[str, float]  # of the validation assays


class Corpus(NamedTuple):
    """Hold everything that episodes are drawn from."""

    train: AssayTable
    weighed: list[Assay]
    """those that the parts of answers are weighed on; none shares a molecule with those of `train`, unless the recipe
    asks for known molecules"""
    described: Described
    held_out: HeldOut


def train_learner(
    recipe: LearnerRecipe,
    data: str | Path,
    output: str | Path,
    *,
    resume: bool = True,
    overwrite: bool = False,
    cache: str | Path | None = None,
    stop: StopRequest | None = None,
) -> Trained:
    """Train the learner of a recipe and write a model directory.

    Log, curves and checkpoint lie in `output/training`; started again with the same recipe, a run goes on where it
    stopped, and ends as an undisturbed one. ConfigError when that run had another recipe, OutputError when `output`
    already holds a finished model, InputError for tables that cannot be used.
    """
    output = Path(output)
    if (output / CONFIG).exists() and not overwrite:
        raise OutputError(f"{output} holds a finished model; --overwrite trains it again")
    torch.set_num_threads(recipe.training.threads)
    model = _new_model(recipe)
    corpus = _prepare(recipe, model, Path(data), Path(cache or output / _TRAINING / "corpus"))
    _standardise(model, corpus)
    run = _Run(recipe, model, corpus, output / _TRAINING, resume and not overwrite)
    with stop or StopRequest() as request:
        request.at_once = False
        finished = run.train(request)
    if not finished:
        return Trained(output, run.step, False, {})
    run.look()
    held_out = corpus.held_out.measure(model.eval(), corpus.described, full=True)
    draw_training(run.table.path, output / _TRAINING / "curves.png", recipe.name)
    save_in_context(model.eval(), output, learner_card(recipe, corpus.train, len(corpus.weighed), held_out))
    return Trained(output, run.step, True, held_out)


class _Run:
    """Hold a run between its steps."""

    def __init__(
        self, recipe: LearnerRecipe, model: InContextModel, corpus: Corpus, folder: Path, resume: bool
    ) -> None:
        self.recipe, self.model, self.corpus, self.folder = recipe, model, corpus, folder
        settings = recipe.training
        self.sampler = EpisodeSampler(corpus.train.assays, settings, recipe.model.reference)
        if settings.weighing_steps:
            self.weigher = EpisodeSampler(corpus.weighed, settings, recipe.model.reference, turned=0.0)
        self.total = settings.steps + settings.weighing_steps
        self.optimizer = _optimizer(model, settings)
        self.step, self.losses = 0, [0.0]
        self.table = LogTable(folder / "log.csv", ["loss", "learning_rate", *corpus.held_out.names])
        folder.mkdir(parents=True, exist_ok=True)
        if resume and (folder / _CHECKPOINT).exists():
            self._go_on()
        self.table.begin(self.step)

    def train(self, request: StopRequest) -> bool:
        """Train to the end, or to where a stop is asked for; tell which."""
        settings = self.recipe.training
        self.model.train()
        self.losses = []
        while self.step < self.total:
            if request.asked:
                self._keep()
                return False
            self._advance()
            if self.step % settings.validate_every == 0 and self.step < self.total:
                self.look()
            if self.step % settings.checkpoint_every == 0:
                self._keep()
        self._keep()
        return True

    def look(self) -> None:
        """Measure the validation assays, and write down what was found."""
        self.model.eval()
        self._choose_reference()
        found = self.corpus.held_out.measure(self.model, self.corpus.described)
        self.model.train()
        self.table.add(self.step, {name: found[name] for name in self.corpus.held_out.names})
        log.info("step %d  %s", self.step, "  ".join(f"{name} {value:.4f}" for name, value in found.items()))

    @torch.no_grad()
    def _choose_reference(self) -> None:
        """Keep the points of some training molecules, the same at every look, as the reference."""
        draw = np.random.default_rng(self.recipe.training.seed)
        molecules = len(self.corpus.train.smiles)
        size = self.recipe.model.reference
        chosen = draw.choice(molecules, size, replace=molecules < size)
        found = self.model.encoder(pick(self.corpus.described, chosen))
        self.model.enrichment.reference.copy_(found)

    def _advance(self) -> None:
        """Take one step."""
        settings = self.recipe.training
        self.step += 1
        weighing = self.step > settings.steps
        _allow(self.model, weighing=weighing)
        # dropout depends on seed and step alone, too
        torch.manual_seed(settings.seed * 1_000_003 + self.step)
        rate = settings.weighing_rate if weighing else _rate(self.step, settings)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        episodes = (self.weigher if weighing else self.sampler).draw(self.step)
        loss = episode_loss(self.model, self.corpus.described, episodes)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), settings.clip)
        if torch.isfinite(norm):
            self.optimizer.step()
        self.losses.append(float(loss.detach()))
        if self.step % _LOG_EVERY == 0:
            self.table.add(
                self.step, {"loss": float(np.mean(self.losses[-_LOG_EVERY:])), "learning_rate": rate}
            )

    def _keep(self) -> None:
        """Write a checkpoint."""
        CheckpointFile().save_checkpoint(
            {
                "recipe": repr(self.recipe),
                "step": self.step,
                "model": self.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
            },
            self.folder / _CHECKPOINT,
        )

    def _go_on(self) -> None:
        """Take up a checkpoint; ConfigError where it is of another recipe."""
        kept: dict[str, Any] = torch.load(self.folder / _CHECKPOINT, weights_only=True)
        if kept["recipe"] != repr(self.recipe):
            raise ConfigError(
                f"{self.folder.parent} holds a run of another recipe; --overwrite begins a new one"
            )
        self.model.load_state_dict(kept["model"])
        self.optimizer.load_state_dict(kept["optimizer"])
        self.step = kept["step"]
        log.info("going on at step %d", self.step)


def episode_loss(model: InContextModel, described: Described, episodes: Episodes) -> Tensor:
    """Return the loss of episodes: cross-entropy in nats per query, or what of the numbers is `unexplained`."""
    batch, width = episodes.molecules.shape
    rows = np.concatenate([episodes.molecules.reshape(-1), episodes.reference])
    picked = pick(described, rows)
    encoded, asked = model.encoder(picked), batch * width
    placed = model.place(encoded[:asked], picked.prints[:asked], encoded[asked:])
    points = placed.arranged(batch, width)
    size = episodes.support.values.shape[1]
    state = model.read_support(points[:, :size], episodes.support)
    answer = model.answer(points[:, size:], state)
    # in units of the labels as they are read; the prior knows nothing of labels that were turned
    value, prior = (
        (one - state.shift[:, None]) / state.scale[:, None] for one in (answer.value, answer.prior)
    )
    value = value - episodes.turned[:, None] * prior
    if episodes.support.task == "binary":
        each = F.binary_cross_entropy_with_logits(value, episodes.targets, reduction="none")
        return (each * episodes.counted).sum() / episodes.counted.sum()
    return unexplained(value, episodes).mean()


def unexplained(value: Tensor, episodes: Episodes) -> Tensor:
    """Return the squared error of predictions (B, Q) over one more than that of the support's mean: (B,), near 1 - R².

    Errors are in units of the support's variance. An assay whose numbers are far apart counts no more than others so,
    and one whose queries are all near the mean does not decide everything. A number that is only bounded costs nothing
    where a prediction keeps to the bound.
    """
    targets = episodes.targets.clamp(-5, 5)
    missed, alone = (
        (error.square() * (episodes.relations * error <= 0) * episodes.counted).sum(1)
        for error in (value - targets, -targets)
    )
    return missed / (alone + 1)


def _allow(model: InContextModel, *, weighing: bool) -> None:
    """Let a step learn everything but how the parts are weighed, or that alone, of answers as they will be."""
    model.train(not weighing)
    for name, weight in model.named_parameters():
        weight.requires_grad_(name.startswith("weighing.") is weighing or name == "weighing.scale")


def _new_model(recipe: LearnerRecipe) -> InContextModel:
    """Make a learner with random weights that knows which language model it is trained beside."""
    from dataclasses import replace

    torch.manual_seed(recipe.training.seed)
    language_model = bio_xlstm.load(recipe.model.encoder)
    config = replace(
        recipe.model, encoder_hash=language_model.weight_hash(), embedding=language_model.config.dim
    )
    return InContextModel(config, recipe.name)


def _prepare(recipe: LearnerRecipe, model: InContextModel, data: Path, cache: Path) -> Corpus:
    """Read the tables and describe all molecules."""
    files = recipe.data
    judged = () if files.known_molecules else (files.validation,)
    apart = molecules_in(data / name for name in (*judged, *files.held_apart))
    train = read_assays(data / files.train, files, model.language_model, apart)
    validation = read_assays(data / files.validation, files, model.language_model)
    shared = {one.name for one in train.assays} & {one.name for one in validation.assays}
    if shared:
        raise ConfigError(f"[data] assay {sorted(shared)[0]!r} is in the training and the validation table")
    rest, weighed = hold_back(train.assays, recipe.training, known_molecules=files.known_molecules)
    train = train._replace(assays=rest)
    log.info(
        "%d assays to train on, %d to weigh on, %d to look at",
        len(rest),
        len(weighed),
        len(validation.assays),
    )
    smiles = [*train.smiles, *validation.smiles]
    described = describe_all(smiles, model.language_model, model.config, cache)
    return Corpus(train, weighed, described, HeldOut(validation.assays, len(train.smiles)))


def _standardise(model: InContextModel, corpus: Corpus) -> None:
    """Give the encoder mean and spread of the training molecules' embeddings."""
    known = corpus.described.embeddings[: len(corpus.train.smiles)].float()
    model.encoder.mean.copy_(known.mean(0))
    model.encoder.scale.copy_(known.std(0) + 1e-3)


def _optimizer(model: InContextModel, settings: EpisodeSettings) -> torch.optim.AdamW:
    """Decay matrices alone."""

    def of(matrices: bool) -> Iterator[Tensor]:
        return (weight for weight in model.parameters() if (weight.ndim > 1) is matrices)

    groups = [
        {"params": list(of(True)), "weight_decay": settings.weight_decay},
        {"params": list(of(False)), "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.98))


def _rate(step: int, settings: EpisodeSettings) -> float:
    """Rise in a line, fall along a cosine."""
    if step <= settings.warmup:
        return settings.learning_rate * step / settings.warmup
    done = (step - settings.warmup) / max(settings.steps - settings.warmup, 1)
    above = settings.learning_rate - settings.final_learning_rate
    return settings.final_learning_rate + above * 0.5 * (1 + math.cos(math.pi * done))
