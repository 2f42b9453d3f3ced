"""Compare a trained model with unigram and back-off Markov models on what its recipe keeps out of training.

    python benchmarks/perplexity.py MODEL RECIPE --data DIR --cache DIR [--part test] [--tokens N] [--json FILE]

MODEL "none" counts the simple models alone. All models read the same windows of the test part (of the held-out part
where there is no test part) and predict the same tokens, stop tokens among them. The Markov models are counted twice,
on the whole training part and on the part of the domains related to the held-out one (`own`); their smoothing is tuned
on the held-out tokens themselves, which favours them. Models that fill in read plain sequences here, and sequences with
hidden spans once more, for which only the hidden residues count. For masked models the masked letters count: a Markov
model sees only what stands before them, so that only the unigram model is comparable.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from held_out_nats import (
    PART_NAMES,
    PARTS,
    Batches,
    domain_batches,
    last_part,
    nats_per_target,
    reader_of,
    shown,
    targets_in,
    unit,
)
from measured import Measured, table
from options import add_machine, add_model, add_recipe, make_parser, run_script

import bio_xlstm
from bio_xlstm.infilling import InfillTokens
from bio_xlstm.models.model import SequenceModel
from bio_xlstm.tasks.baselines import Markov, Stream
from bio_xlstm.tasks.pretrain.corpus import Corpus, prepare
from bio_xlstm.tasks.pretrain.filling import Filler
from bio_xlstm.tasks.pretrain.luck import base_key, uniform
from bio_xlstm.tasks.pretrain.objectives import Causal, Infill, Masked, Objective
from bio_xlstm.tasks.pretrain.packing import IGNORED, Framing, PackedBatch
from bio_xlstm.tasks.pretrain.settings import Recipe, read_recipe
from bio_xlstm.tasks.pretrain.windows import cut_windows
from bio_xlstm.tokenizers import TOKENIZERS
from bio_xlstm.tokenizers.tokenizer import Tokenizer

ORDERS = {"dna": 12, "protein": 5, "smiles": 5}
# domains of which nothing, or not all that is alike, is trained on under their own name
RELATED = {
    "human_chr4": ("human", "human_chr4"),
    "streptococcus": ("bacteria",),
}
BUDGET = 16384

Counted = Callable[[Sequence[str]], Stream]


def main() -> None:
    """Print the table and, if asked, write it as JSON."""
    options = parse()
    torch.set_num_threads(options.threads)
    recipe = read_recipe(options.recipe)
    model = None if options.model == "none" else bio_xlstm.load(options.model).eval().to(options.device)
    measured = Measured("perplexity", model, options)
    corpus = prepare(recipe, options.data, options.cache)
    part, _ = last_part(corpus, options.part)
    window = options.window or recipe.data.longest_window
    objective = model.config.objective if model else recipe.model.get("objective", "causal")
    measured.keep(recipe=recipe.name, part=part, window=window, objective=objective, kind=recipe.data.kind)
    measured.keep(rows=compare(model, recipe, corpus, part, window, objective, options.tokens))
    print(report(measured.content))


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    add_model(parser, ", or none")
    add_recipe(parser)
    parser.add_argument("--part", choices=PARTS, default="", help="[test, where the recipe keeps one]")
    parser.add_argument("--window", type=int, default=0, help="tokens read in one piece [the recipe's]")
    parser.add_argument("--tokens", type=int, default=0, help="held-out tokens per domain [all]")
    add_machine(parser)
    return parser.parse_args()


def compare(
    model: SequenceModel | None,
    recipe: Recipe,
    corpus: Corpus,
    part: str,
    window: int,
    objective: str,
    tokens: int,
) -> list[dict[str, Any]]:
    """Return one row per domain, in nats per target."""
    tokenizer = model.tokenizer if model else TOKENIZERS[recipe.data.kind]()
    masked = objective == "masked"
    reading: Objective = (
        Masked(tokenizer, share=recipe.data.masked_share) if masked else Causal(Framing.of(tokenizer))
    )
    store = last_part(corpus, part)[1]
    batches = domain_batches(corpus, store, reading, window=window, budget=BUDGET, tokens=tokens)
    rows = _rows(model, batches)
    _add_baselines(rows, batches, recipe, corpus, tokenizer, window, masked)
    if objective == "infill":
        filling = Infill(tokenizer, spans="always", loss="filled")
        hidden = domain_batches(corpus, store, filling, window=window, budget=BUDGET, tokens=tokens)
        hidden = {domain: [_residues(batch, tokenizer) for batch in mine] for domain, mine in hidden.items()}
        for row, filled in zip(rows, _rows(model, hidden), strict=True):
            row |= {"filled": filled["model"], "filled_tokens": filled["tokens"]}
    return rows


def _rows(model: SequenceModel | None, batches: Batches) -> list[dict[str, Any]]:
    """Return what the model needs for every domain."""
    return [
        {
            "domain": domain,
            "tokens": targets_in(mine),
            "model": nats_per_target(reader_of(model), mine, model.device) if model else None,
        }
        for domain, mine in batches.items()
    ]


def _residues(batch: PackedBatch, tokenizer: Tokenizer) -> PackedBatch:
    """Ask for hidden residues alone: where a span ends follows from the places of what is around it."""
    symbols = InfillTokens.of(tokenizer)
    others = [*symbols.masks.tolist(), symbols.end, tokenizer.start, tokenizer.stop]
    return batch._replace(targets=np.where(np.isin(batch.targets, others), IGNORED, batch.targets))


def _add_baselines(
    rows: list[dict[str, Any]],
    batches: Batches,
    recipe: Recipe,
    corpus: Corpus,
    tokenizer: Tokenizer,
    window: int,
    masked: bool,
) -> None:
    """Add what unigram and Markov models need, counted on everything and on related domains."""
    orders = {"unigram": 0} | ({} if masked else {"markov": ORDERS[recipe.data.kind]})
    framing = Framing.of(tokenizer, stops=not masked)
    both_strands = bool(recipe.data.reverse_complement) or bool(recipe.model.get("reverse_complement"))
    pools = {"all": list(batches)} | {domain: [domain] for domain in batches}
    for pool, domains in pools.items():
        counted_on = corpus.domains if pool == "all" else RELATED.get(pool, (pool,))
        counted = training_stream(corpus, counted_on, framing, window, both_strands)
        for title, order in orders.items():
            markov = Markov(order, len(tokenizer.vocabulary), framing.allowed).fit(counted)
            for row in (row for row in rows if row["domain"] in domains):
                name = f"{title}_{'all' if pool == 'all' else 'own'}"
                stream = join(batches[row["domain"]])
                # a domain of which nothing is trained on has nothing of its own
                row[name] = float(markov.tune(stream).nats(stream).mean()) if len(counted.inputs) else None
                print(row["domain"], name, row[name], file=sys.stderr, flush=True)


def training_stream(
    corpus: Corpus, domains: Sequence[str], framing: Framing, window: int, both_strands: bool
) -> Stream:
    """Join the training windows of some domains, as many homologs as an epoch shows; both strands if shown both."""
    store = corpus.train
    known = [corpus.domains.index(domain) for domain in domains if domain in corpus.domains]
    shown_once = uniform(np.asarray(store.offsets[:-1]), base_key(0)) < store.shares
    filler = Filler(store, Causal(framing))
    windows = cut_windows(store, window, chosen=np.isin(store.domains, known) & shown_once)
    if not windows.total:
        return Stream(np.zeros(0, np.int16), np.zeros(0, np.int16), np.zeros(1, np.int64))
    strands = (None, np.ones(windows.total, bool)) if both_strands else (None,)
    return join([filler.fill(windows, reverse, base_key(0)) for reverse in strands])


def join(batches: Sequence[PackedBatch]) -> Stream:
    """Turn batches into one stream."""
    lengths = np.concatenate([np.diff(batch.cu_seqlens) for batch in batches])
    inputs = np.concatenate([batch.tokens[0] for batch in batches]).astype(np.int16)
    targets = np.concatenate([batch.targets[0] for batch in batches]).astype(np.int16)
    return Stream(inputs, targets, np.concatenate([[0], np.cumsum(lengths)]))


def report(content: dict[str, Any]) -> str:
    """Write the results as Markdown: perplexities, and for DNA bits per base."""
    rows, kind, masked = content["rows"], content["kind"], content["objective"] == "masked"
    order = ORDERS[kind]
    columns = {"model": "this model", "unigram_all": "unigram", "unigram_own": "unigram, own"}
    if not masked:
        columns |= {"markov_all": f"Markov {order}", "markov_own": f"Markov {order}, own"}
    if content["objective"] == "infill":
        columns["filled"] = "this model, hidden spans"
    cells = {"domain": [row["domain"] for row in rows], "tokens": [f"{row['tokens']:,}" for row in rows]}
    for key, title in columns.items():
        cells[title] = [shown(row[key], kind) for row in rows]
    name = unit(kind, content["objective"]).capitalize()
    lines = [f"{name} on {PART_NAMES[content['part']]}, in windows of {content['window']:,} tokens."]
    if masked:
        lines.append(
            "A Markov model sees only one side of a masked letter and is not compared. Masks are the same for all."
        )
    else:
        lines.append(
            f"Stop tokens count. The Markov model backs off from order {order}; it is counted on the training data, "
            "and once\nmore on the related domains only (own). Its smoothing is tuned on these tokens themselves, in "
            "its favour."
        )
    return "\n".join([*lines, "", table(cells)])


if __name__ == "__main__":
    run_script(main)
