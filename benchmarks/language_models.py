"""Train an xLSTM, an LSTM and a Transformer of equal parameters on the same batches, and compare them.

    python benchmarks/language_models.py RECIPE --data DIR --cache DIR --steps N [--seeds 3] [--json FILE]

All three see the batches of the recipe in its order, for the same steps, with its optimiser. The learning rate of each
is chosen on short runs that are judged by the recipe's held-out part: from the recipe's rate on, doubled and halved
until a best one stands between two worse ones. The comparison is on the test part, which no choice looks at. The peers
are torch's own modules; for masked models they read both ways. A file that holds a part of the same comparison is
continued.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from equal_training import (
    MAKERS,
    Sizes,
    evaluate,
    next_rate,
    run,
    shortened,
    training_data,
)
from held_out_nats import (
    PART_NAMES,
    Batches,
    domain_batches,
    last_part,
    mean_nats,
    shown,
    targets_in,
    unit,
)
from measured import Measured, table
from options import add_machine, add_recipe, make_parser, run_script

from bio_xlstm.tasks.pretrain.corpus import Corpus, prepare
from bio_xlstm.tasks.pretrain.settings import Recipe, read_recipe, with_overrides

FACTOR = 2.0
# a trial is judged by about this many held-out tokens of every domain
TRIAL_TOKENS = 50_000


def main() -> None:
    """Print the table and, if asked, write it as JSON."""
    options = parse()
    torch.set_num_threads(options.threads)
    recipe = read_recipe(options.recipe)
    steps = options.steps or recipe.training.steps
    recipe = with_overrides(recipe, steps=steps, precision=options.precision or None)
    corpus = prepare(recipe, options.data, options.cache)
    measured = Measured("language_models", None, options, recipe.name)
    comparison = Comparison(recipe, corpus, options, measured)
    comparison.take_up()
    for name in options.only or MAKERS:
        rate = comparison.choose_rate(name)
        for seed in range(options.seeds):
            comparison.compete(name, rate, seed)
    print(report(measured.content))


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    add_recipe(parser)
    parser.add_argument("--steps", type=int, default=0, help="[the recipe's]")
    parser.add_argument("--trial-steps", type=int, default=0, help="of runs that choose a rate [a tenth]")
    parser.add_argument("--seeds", type=int, default=1, help="runs of every model, from seed 0 on")
    parser.add_argument("--only", action="append", choices=list(MAKERS), help="repeat for more than one")
    parser.add_argument("--tokens", type=int, default=0, help="of every domain that are compared on [all]")
    parser.add_argument("--lstm-layers", type=int, default=2)
    parser.add_argument("--transformer-layers", type=int, default=0, help="[as many as the xLSTM]")
    parser.add_argument("--precision", default="", help="32-true or bf16-mixed [the recipe's]")
    add_machine(parser)
    return parser.parse_args()


class Comparison:
    """Choose rates and train contenders; keep everything as soon as it is known."""

    def __init__(
        self, recipe: Recipe, corpus: Corpus, options: argparse.Namespace, measured: Measured
    ) -> None:
        self.recipe, self.corpus, self.options, self.measured = recipe, corpus, options, measured
        self.sizes = Sizes(options.lstm_layers, options.transformer_layers)
        self.trial_steps = options.trial_steps or max(1, recipe.training.steps // 10)
        self.part, store = last_part(corpus)
        self.held_out = self._batches(corpus.held_out, TRIAL_TOKENS)
        self.last = self._batches(store, options.tokens)
        if not self.held_out:
            raise SystemExit("the recipe holds nothing out: no learning rate can be chosen")

    def take_up(self) -> None:
        """Continue the file where it holds a part of this comparison; refuse one that holds another."""
        options, training = self.options, self.recipe.training
        what = {
            "identity": self.recipe.identity(),
            "steps": training.steps,
            "trial_steps": self.trial_steps,
            "precision": training.precision,
            "tokens": options.tokens,
            "lstm_layers": options.lstm_layers,
            "transformer_layers": options.transformer_layers,
        }
        known: dict[str, Any] = {"trials": {}, "rows": []}
        if options.json and options.json.exists():
            found = json.loads(options.json.read_text(encoding="utf-8"))
            if found.get("comparison") != what:
                raise SystemExit(f"{options.json} holds another comparison: remove it or name another file")
            known = {name: found[name] for name in known}
        domains = {domain: targets_in(batches) for domain, batches in self.last.items()}
        about = {"part": self.part, "kind": self.recipe.data.kind, "domains": domains}
        about["objective"] = self.recipe.model.get("objective", "causal")
        self.measured.keep(comparison=what, **about, **known)

    def choose_rate(self, name: str) -> float:
        """Return the rate with the lowest held-out loss after a short run."""
        trials = self.measured.content["trials"].setdefault(name, {})
        first = self.recipe.training.learning_rate
        while (rate := next_rate(_numbers(trials), first, FACTOR)) is not None:
            settings = shortened(self.recipe.training, self.trial_steps, rate)
            data = training_data(self.recipe, self.corpus, seed=0)
            contender = MAKERS[name](self.recipe, self.sizes, 0)
            found = run(contender, data.order, settings, self.options.device, self.held_out)
            trials[repr(rate)] = mean_nats(found["nats"], self.held_out)
            self.measured.keep()
            print(name, "rate", f"{rate:g}", trials[repr(rate)], file=sys.stderr, flush=True)
        known = _numbers(trials)
        return min(known, key=lambda rate: known[rate] if np.isfinite(known[rate]) else np.inf)

    def compete(self, name: str, rate: float, seed: int) -> None:
        """Train one contender and keep its row, unless that is done."""
        rows = self.measured.content["rows"]
        if any((row["model"], row["seed"]) == (name, seed) for row in rows):
            return
        settings = shortened(self.recipe.training, self.recipe.training.steps, rate)
        data = training_data(self.recipe, self.corpus, seed)
        contender = MAKERS[name](self.recipe, self.sizes, seed)
        found = run(contender, data.order, settings, self.options.device, self.last)
        held_out = mean_nats(evaluate(contender, self.held_out, self.options.device), self.held_out)
        about = {"model": name, "seed": seed, "parameters": contender.parameters, "rate": rate}
        rows.append({**about, **found, "held_out": held_out})
        self.measured.keep()
        print(name, "seed", seed, found, file=sys.stderr, flush=True)

    def _batches(self, store: Any, tokens: int) -> Batches:
        """Return the batches of a part as the recipe's model reads them."""
        return domain_batches(
            self.corpus,
            store,
            training_data(self.recipe, self.corpus, seed=0).objective,
            window=self.recipe.data.longest_window,
            budget=self.recipe.training.batch_tokens,
            tokens=tokens,
        )


def _numbers(trials: dict[str, float]) -> dict[float, float]:
    """Read the rates, which JSON keeps as text."""
    return {float(rate): nats for rate, nats in trials.items()}


def report(content: dict[str, Any]) -> str:
    """Write the results as Markdown: losses by domain, and what they took."""
    rows, kind = content["rows"], content["kind"]
    names = [name for name in MAKERS if any(row["model"] == name for row in rows)]
    domains = content["domains"]
    means = {
        name: {
            domain: _mean([row["nats"][domain] for row in rows if row["model"] == name]) for domain in domains
        }
        for name in names
    }
    cells = {"domain": list(domains), "tokens": [f"{count:,}" for count in domains.values()]}
    for name in names:
        spread = [[row["nats"][domain] for row in rows if row["model"] == name] for domain in domains]
        cells[name] = [_cell(values, kind) for values in spread]
    seeds = len({row["seed"] for row in rows})
    lines = [
        f"{unit(kind, content['objective']).capitalize()} on {PART_NAMES[content['part']]}, after "
        f"{content['comparison']['steps']:,} steps on the same batches"
        + (f", mean of {seeds} seeds (lowest to highest)." if seeds > 1 else ", one seed."),
        verdict(means),
        "",
        table(cells),
        took(rows, names),
    ]
    return "\n".join(lines)


def verdict(means: dict[str, dict[str, float]]) -> str:
    """Say where the xLSTM is best, and where it is not."""
    if len(means) < 2 or "xLSTM" not in means:
        return "Not all models are trained yet."
    lost = {}
    for domain, nats in means["xLSTM"].items():
        best = min(means, key=lambda name: means[name][domain])
        if means[best][domain] < nats:
            lost[domain] = best
    if not lost:
        return f"The xLSTM is best on all of {len(means['xLSTM'])} domains."
    listed = ", ".join(f"{domain} ({best} is)" for domain, best in lost.items())
    return f"The xLSTM is not best on {listed}."


def took(rows: Sequence[dict[str, Any]], names: Sequence[str]) -> str:
    """Tabulate parameters, rates, tokens and seconds."""
    first = [next(row for row in rows if row["model"] == name) for name in names]
    return table(
        {
            "model": list(names),
            "parameters": [f"{row['parameters']:,}" for row in first],
            "learning rate": [f"{row['rate']:g}" for row in first],
            "tokens": [f"{row['tokens']:,}" for row in first],
            "seconds": [f"{row['seconds']:,.0f}" for row in first],
        }
    )


def _mean(values: Sequence[float]) -> float:
    """Average over seeds; what did not learn is worse than anything."""
    return float(np.mean(values)) if np.isfinite(values).all() else float("inf")


def _cell(values: Sequence[float], kind: str) -> str:
    """Write the mean over seeds and its range."""
    if not np.isfinite(values).all():
        return "did not learn"
    text = shown(float(np.mean(values)), kind)
    return text if len(values) == 1 else f"{text} ({shown(min(values), kind)}-{shown(max(values), kind)})"


if __name__ == "__main__":
    run_script(main)
