"""Measure the token-level form of in-context prediction: molecules and labels in one sequence, read token by token.

    python benchmarks/fewshot_tokens.py --data DIR [--steps 300] [--json FILE]
    python benchmarks/fewshot_tokens.py --json FILE --document docs/fewshot.md

A language model of molecules is trained on to read labelled molecules of one assay one after the other, each followed
by its label, and to say the label of every molecule from what came before. The assays are those of the recipe of the
in-context learner, with the same molecules kept apart, and every other episode has its labels turned, as there. What
stands beside it is the set-level learner that is bundled, on the same draws of the validation assays.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from markers import show
from measured import table
from options import add_machine, make_parser, run_script
from report import describe_machine, keep
from sklearn.metrics import average_precision_score
from torch import Tensor, nn
from torch.nn import functional as F

import bio_xlstm
from bio_xlstm.in_context.directory import load_in_context
from bio_xlstm.in_context.labels import Labels
from bio_xlstm.models.model import SequenceModel
from bio_xlstm.tasks.in_context.assays import Assay, molecules_in, read_assays
from bio_xlstm.tasks.in_context.held_out import SIZES, Division, stratified
from bio_xlstm.tasks.in_context.recipe import LearnerRecipe, read_learner_recipe

BENCHMARK = "fewshot-tokens"
RECIPE = Path(__file__).parents[1] / "recipes" / "chem-icl.toml"
# molecules of an episode, and episodes of a step
MOLECULES, EPISODES = 24, 4
# tokens without another use stand for the labels
LABELS = ("[UNK]", "[MASK]")
QUERIES_AT_ONCE = 64
Ids = Sequence[np.ndarray]


class TokenLearner(nn.Module):
    """Read molecules and labels as one sequence."""

    def __init__(self, model: SequenceModel) -> None:
        super().__init__()
        self.model = model.train().requires_grad_(True)
        self.read_out = nn.Linear(model.config.dim, 1)
        vocabulary = model.tokenizer.vocabulary.index
        self.labels = [vocabulary[name] for name in LABELS]
        self.start = vocabulary[str(model.tokenizer.specials.start)]

    def lay_out(self, molecules: Ids, classes: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Write molecules one behind the other, each with its label: tokens, and where each molecule ends."""
        parts = [np.array([self.start])] if classes is not None else []
        ends, length = [], sum(map(len, parts))
        for place, ids in enumerate(molecules):
            label = [] if classes is None else [[self.labels[int(classes[place])]]]
            parts += [ids, *map(np.array, label)]
            ends.append(length + len(ids) - 1)
            length += len(ids) + len(label)
        return np.concatenate(parts).astype(np.int64), np.array(ends)

    def loss(self, episodes: Sequence[tuple[Ids, np.ndarray]]) -> Tensor:
        """Return the cross-entropy in nats per molecule but the first of each episode."""
        laid = [self.lay_out(*one) for one in episodes]
        borders = np.cumsum([0, *(len(tokens) for tokens, _ in laid)])
        tokens = torch.from_numpy(np.concatenate([tokens for tokens, _ in laid]))[None]
        packed = torch.tensor(borders, dtype=torch.int32)
        hidden = self.model(tokens, packed, with_state=False).hidden[0]
        places = np.concatenate([ends[1:] + begin for (_, ends), begin in zip(laid, borders, strict=False)])
        truth = np.concatenate([classes[1:] for _, classes in episodes])
        found = self.read_out(hidden[torch.from_numpy(places)])[:, 0]
        return F.binary_cross_entropy_with_logits(found, torch.from_numpy(truth).float())

    @torch.inference_mode()
    def answer(self, support: Ids, classes: np.ndarray, queries: Ids) -> np.ndarray:
        """Return the log-odds of queries (M,), each read from the state that the support left."""
        tokens, _ = self.lay_out(support, classes)
        state = self.model(torch.from_numpy(tokens)[None]).state
        assert state is not None
        found = []
        for begin in range(0, len(queries), QUERIES_AT_ONCE):
            some = queries[begin : begin + QUERIES_AT_ONCE]
            borders = torch.tensor(np.cumsum([0, *map(len, some)]), dtype=torch.int32)
            packed = torch.from_numpy(np.concatenate(some).astype(np.int64))[None]
            read = self.model(packed, borders, state.select([0] * len(some)), with_state=False)
            found.append(self.read_out(read.hidden[0, borders[1:].long() - 1])[:, 0].numpy())
        return np.concatenate(found)


def main() -> None:
    """Train and measure, or put what was measured into a document."""
    options = parse()
    if options.data:
        torch.set_num_threads(options.threads)
        found = measure(read_learner_recipe(RECIPE), options)
        if options.json:
            keep(options.json, found)
    else:
        found = json.loads(options.json.read_text(encoding="utf-8"))
    text = report(found)
    show(text, BENCHMARK, options.document)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument("--data", type=Path, help="folder with mol_assays")
    parser.add_argument("--steps", type=int, default=300, help="[%(default)s]")
    parser.add_argument("--rate", type=float, default=5e-4, help="learning rate [%(default)s]")
    parser.add_argument("--seeds", type=int, default=3, help="supports of every assay and size [%(default)s]")
    parser.add_argument("--document", type=Path, help="fill this document; without --data from --json")
    add_machine(parser)
    options = parser.parse_args()
    if not options.data and not options.json:
        parser.error("name the folder of the data with --data, or numbers with --json")
    return options


def measure(recipe: LearnerRecipe, options: argparse.Namespace) -> dict[str, Any]:
    """Train the token-level form, and ask both forms about the validation assays."""
    torch.manual_seed(0)
    files = recipe.data
    learner = TokenLearner(bio_xlstm.load(recipe.model.encoder))
    apart = molecules_in(options.data / name for name in (files.validation, *files.held_apart))
    train = read_assays(options.data / files.train, files, learner.model, apart)
    began = time.process_time()
    curve = fit(learner, train.assays, encoded(learner, train.smiles), options)
    seconds = time.process_time() - began
    held = read_assays(options.data / files.validation, files, learner.model)
    ids = encoded(learner, held.smiles)
    bundled = load_in_context()
    points = bundled.encode(held.smiles)
    found: dict[str, Any] = {
        "benchmark": BENCHMARK,
        "machine": describe_machine("cpu"),
        "steps": options.steps,
        "episodes": options.steps * EPISODES,
        "seconds": seconds,
        "loss": curve,
        "rows": [],
    }
    for size in SIZES:
        scores: dict[str, list[float]] = {"token level": [], "set level": []}
        for assay in held.assays:
            gains = list(ask(learner, bundled, assay, ids, points, size, options.seeds))
            for name, values in zip(scores, zip(*gains, strict=True), strict=False):
                scores[name].append(float(np.mean(values)))
        for name, values in scores.items():
            found["rows"].append(
                {"form": name, "support": size, "assays": len(values), "gain": float(np.mean(values))}
            )
        print(found["rows"][-2:], file=sys.stderr, flush=True)
    return found


def fit(learner: TokenLearner, assays: Sequence[Assay], ids: Ids, options: argparse.Namespace) -> list[float]:
    """Train; return the mean loss of every twentieth part of the steps."""
    pool = [assay for assay in assays if len(assay.molecules) >= MOLECULES]
    optimizer = torch.optim.AdamW(learner.parameters(), lr=options.rate, weight_decay=0.05, betas=(0.9, 0.98))
    losses = []
    for step in range(options.steps):
        draw = np.random.default_rng((1, step))
        rate = options.rate * min(1.0, (step + 1) / 20) * (1 - step / options.steps)
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss = learner.loss([episode(pool, ids, draw) for _ in range(EPISODES)])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learner.parameters(), 1.0)
        optimizer.step()
        losses.append(float(loss.detach()))
        if step % 20 == 19:
            print(f"step {step + 1}: {np.mean(losses[-20:]):.4f}", file=sys.stderr, flush=True)
    learner.eval()
    return [float(np.mean(part)) for part in np.array_split(losses, min(20, len(losses)))]


def episode(pool: Sequence[Assay], ids: Ids, draw: np.random.Generator) -> tuple[Ids, np.ndarray]:
    """Draw molecules of one assay with their classes, which are turned every other time."""
    assay = pool[int(draw.integers(len(pool)))]
    rows = draw.permutation(len(assay.molecules))[:MOLECULES]
    classes = assay.classes[rows]
    return [ids[row] for row in assay.molecules[rows]], 1 - classes if draw.random() < 0.5 else classes


def ask(
    learner: TokenLearner, bundled: Any, assay: Assay, ids: Ids, points: Tensor, size: int, seeds: int
) -> list[tuple[float, float]]:
    """Return the gain of both forms for every seed; none where the assay is too small."""
    found = []
    for seed in range(seeds):
        division = stratified(assay.classes, size, seed)
        if division is None:
            return []
        # no order is better than another, but the classes must not come one after the other
        order = np.random.default_rng(seed).permutation(size)
        division = Division(division.support[order], division.queries)
        support, queries = assay.molecules[division.support], assay.molecules[division.queries]
        classes, truth = assay.classes[division.support], assay.classes[division.queries]
        one = learner.answer([ids[row] for row in support], classes, [ids[row] for row in queries])
        state = bundled.read_support(
            points[support][None], Labels.of_classes(torch.from_numpy(classes)[None])
        )
        other = bundled.answer(points[queries][None], state).value[0].numpy()
        found.append(
            tuple(float(average_precision_score(truth, said) - truth.mean()) for said in (one, other))
        )
    return found  # type: ignore[return-value]


def encoded(learner: TokenLearner, smiles: Sequence[str]) -> Ids:
    """Return the tokens of molecules."""
    return [learner.model.tokenizer.prepare(text).ids for text in smiles]


def report(found: dict[str, Any]) -> str:
    """Write the table, and how it came about."""
    sizes = sorted({row["support"] for row in found["rows"]})
    forms = list(dict.fromkeys(row["form"] for row in found["rows"]))
    gains = {(row["form"], row["support"]): f"{row['gain']:.3f}" for row in found["rows"]}
    columns = {"ΔAUC-PR": forms} | {
        f"support {size}": [gains[form, size] for form in forms] for size in sizes
    }
    first, last = found["loss"][0], found["loss"][-1]
    words = (
        f"Token level: {found['episodes']:,} episodes of {MOLECULES} molecules, {found['seconds'] / 60:.0f} minutes of "
        f"one core; the loss fell from {first:.3f} to {last:.3f} nats per label (0.693 knows nothing)."
    )
    return f"{table(columns)}\n\n{words}\n\n`benchmarks/fewshot_tokens.py`, {found['machine']['cpu']}"


if __name__ == "__main__":
    run_script(main)
