"""Compare a trained model with unigram and back-off Markov models on the held-out sequences of its recipe.

    python benchmarks/perplexity.py MODEL RECIPE --data DIR --cache DIR [--json FILE] [--card]

`--card` writes the table into the model directory's card.

All models read the same windows and predict the same tokens, stop tokens among them. The Markov models are counted
twice, on the whole training part and on the part of the domains related to the held-out one (`own`); their smoothing is
tuned on the held-out tokens themselves, which favours them.
"""

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

import bio_xlstm
from bio_xlstm.models.directory import CARD
from bio_xlstm.models.model import SequenceModel
from bio_xlstm.tasks.baselines import Markov, Stream
from bio_xlstm.tasks.pretrain.card import QUALITY
from bio_xlstm.tasks.pretrain.corpus import Corpus, prepare
from bio_xlstm.tasks.pretrain.held_out import held_out_batches
from bio_xlstm.tasks.pretrain.packing import Framing, PackedBatch, cut_windows, fill
from bio_xlstm.tasks.pretrain.settings import Recipe, read_recipe
from bio_xlstm.tasks.pretrain.token_store import TokenStore
from bio_xlstm.tokenizers import TOKENIZERS

ORDERS = {"dna": 12, "protein": 5, "smiles": 5}
RELATED = {
    "human_chr4": ("human", "human_chr4"),
    "streptococcus": ("bacteria",),
}


def main() -> None:
    """Print the table and, if asked, write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="model directory or bundled name")
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument(
        "--window", type=int, default=0, help="tokens read in one piece [the recipe's window]"
    )
    parser.add_argument("--tokens", type=int, default=0, help="held-out tokens per domain [all]")
    parser.add_argument("--json", type=Path)
    parser.add_argument(
        "--card", action="store_true", help="put the table into the card of the model directory"
    )
    options = parser.parse_args()
    recipe = read_recipe(options.recipe)
    corpus = prepare(recipe, options.data, options.cache)
    rows = compare(options.model, recipe, corpus, options.window or recipe.data.window, options.tokens)
    print_table(rows, recipe)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")
    if options.card:
        path = Path(options.model) / CARD
        text = path.read_text(encoding="utf-8").split(QUALITY)[0]
        path.write_text(text + f"{QUALITY}\n\n" + markdown(rows, recipe), encoding="utf-8")


def compare(name: str, recipe: Recipe, corpus: Corpus, window: int, tokens: int) -> list[dict[str, object]]:
    """Return one row per held-out domain, in nats per token."""
    model = None if name == "none" else bio_xlstm.load(name)
    tokenizer = model.tokenizer if model else TOKENIZERS[recipe.data.kind]()
    framing = Framing.of(tokenizer)
    streams, model_nats = {}, {}
    for number, domain in enumerate(corpus.domains):
        batches = list(
            held_out_batches(corpus.held_out, number, framing, window=window, budget=16384, tokens=tokens)
        )
        if batches:
            streams[domain] = join(batches)
            model_nats[domain] = score(model, batches) if model else math.nan
    rows: list[dict[str, object]] = [
        {"domain": domain, "tokens": int((streams[domain].targets >= 0).sum()), "model": model_nats[domain]}
        for domain in streams
    ]
    order = ORDERS[recipe.data.kind]
    complement = framing.complement if recipe.data.reverse_complement else None
    pools = {"all": list(streams)} | {f"own:{d}": [d] for d in streams}
    for pool, domains in pools.items():
        trained = list(corpus.domains) if pool == "all" else list(RELATED.get(domains[0], (domains[0],)))
        counted = training_stream(corpus, trained, framing, window, complement)
        for title, k in (("unigram", 0), ("markov", order)):
            baseline = Markov(k, len(tokenizer.vocabulary), framing.allowed).fit(counted)
            for row in rows:
                if row["domain"] in domains:
                    stream = streams[str(row["domain"])]
                    value = float(baseline.tune(stream).nats(stream).mean())
                    row[f"{title}_{pool.split(':')[0]}"] = value
                    print(row["domain"], title, pool, round(value, 4), file=sys.stderr, flush=True)
    return rows


@torch.inference_mode()
def score(model: SequenceModel, batches: Sequence[PackedBatch]) -> float:
    """Return the mean of -log p over all targets."""
    from bio_xlstm.tasks.pretrain.language_modeling import cross_entropy
    from bio_xlstm.tasks.pretrain.tensor_batch import as_tensors

    nats = sum(float(cross_entropy(model, as_tensors(batch), "sum")) for batch in batches)
    return nats / sum(int((batch.targets >= 0).sum()) for batch in batches)


def training_stream(
    corpus: Corpus, domains: Sequence[str], framing: Framing, window: int, complement: np.ndarray | None
) -> Stream:
    """Join the training windows of some domains; both strands where the model was shown both."""
    numbers = [corpus.domains.index(domain) for domain in domains]
    store: TokenStore = corpus.train.select(np.isin(corpus.train.domains, numbers))
    windows = cut_windows(store, window)
    parts = [fill(store, windows, framing)]
    if complement is not None:
        parts.append(fill(store, windows, framing, np.ones(len(windows.begin), bool)))
    return join(parts)


def join(batches: Sequence[PackedBatch]) -> Stream:
    """Turn batches into one stream."""
    lengths = np.concatenate([np.diff(batch.cu_seqlens) for batch in batches])
    inputs = np.concatenate([batch.tokens[0] for batch in batches]).astype(np.int16)
    targets = np.concatenate([batch.targets[0] for batch in batches]).astype(np.int16)
    return Stream(inputs, targets, np.concatenate([[0], np.cumsum(lengths)]))


def print_table(rows: Sequence[dict[str, object]], recipe: Recipe) -> None:
    """Print the rows in nats and perplexity, DNA in bits per base."""
    scale, unit = (1 / math.log(2), "bits/base") if recipe.data.kind == "dna" else (1.0, "nats/token")
    columns = ("model", "unigram_all", "markov_all", "unigram_own", "markov_own")
    print(f"{unit:<16}{'tokens':>10}" + "".join(f"{column:>14}" for column in columns))
    for row in rows:
        values = "".join(f"{float(str(row[column])) * scale:>14.4f}" for column in columns)
        print(f"{row['domain']:<16}{row['tokens']:>10}{values}")


def markdown(rows: Sequence[dict[str, object]], recipe: Recipe) -> str:
    """Write the table of the model card: perplexities, and for DNA bits per base."""
    order = ORDERS[recipe.data.kind]
    unit = "Bits per base" if recipe.data.kind == "dna" else "Perplexity per token"
    lines = [
        f"{unit} on the held-out sequences, in windows of {recipe.data.window:,} tokens, stop tokens included.",
        f"The Markov model backs off from order {order}; it is counted on the same training data as the model, and",
        "once more on the related domains only (own). Its smoothing is tuned on the held-out tokens themselves, in its",
        "favour.",
        "",
        f"| held-out domain | tokens | this model | unigram | Markov {order} | Markov {order}, own |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        keys = ("model", "unigram_all", "markov_all", "markov_own")
        nats = [float(str(row[key])) for key in keys]
        values = [n / math.log(2) if recipe.data.kind == "dna" else math.exp(n) for n in nats]
        cells = " | ".join(f"{value:.3f}" for value in values)
        lines.append(f"| {row['domain']} | {row['tokens']:,} | {cells} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
