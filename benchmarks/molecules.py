"""Draw molecules from a causal model of SMILES and measure them beside real ones.

    python benchmarks/molecules.py MODEL RECIPE --data DIR --cache DIR [-n 10000] [--json FILE] [--samples FILE]

Real molecules are those of the recipe's test part (of the held-out part where there is no test part), in the mixture of
domains that the model was trained on. Every set of a distance has the same size, as FCD falls with it. Novel is what
is not in the training part, stereo marks aside. FCD needs the package fcd; everything else is measured without it.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from held_out_nats import last_part
from measured import Measured, table
from tqdm import tqdm

import bio_xlstm
from bio_xlstm.decoding import Decoder
from bio_xlstm.models.model import SequenceModel
from bio_xlstm.sampling import Sample, Sampling, draw
from bio_xlstm.tasks.evaluate.chemnet import MISSING_FCD, chemnet, frechet_distance, has_chemnet
from bio_xlstm.tasks.evaluate.distances import share_interval
from bio_xlstm.tasks.evaluate.fingerprints import fingerprints, internal_diversity
from bio_xlstm.tasks.evaluate.molecule import Molecule, flat_forms, read_molecules
from bio_xlstm.tasks.pretrain.corpus import Corpus, prepare
from bio_xlstm.tasks.pretrain.settings import Recipe, read_recipe
from bio_xlstm.tasks.pretrain.token_store import TokenStore

# molecules among which pairs are compared for the internal diversity
COMPARED = 10_000


class Real(NamedTuple):
    """Hold the real molecules that drawn ones are compared with, as canonical SMILES."""

    part: str  # of the corpus
    mixture: dict[str, dict[str, float]]  # share of every domain in training, and molecules taken of it
    held_out: list[str]
    trained: list[str]  # as many of the training part, and as many again
    trained_too: list[str]


def main() -> None:
    """Print the table and, if asked, write it as JSON."""
    options = parse()
    torch.set_num_threads(options.threads)
    model = bio_xlstm.load(options.model).eval()
    if model.kind != "smiles" or not model.causal:
        raise SystemExit(f"{model.name} is no causal model of molecules: nothing can be drawn from it")
    measured = Measured("molecules", model.to(options.device), options)
    recipe = read_recipe(options.recipe)
    samples = draw_all(model, options)
    texts = [model.tokenizer.decode(sample.ids) if sample.ended else "" for sample in samples]
    if options.samples:
        options.samples.write_text("\n".join(texts) + "\n", encoding="utf-8")
    measured.keep(recipe=recipe.name, drawn_in_seconds=measured.elapsed())
    corpus = prepare(recipe, options.data, options.cache)
    found = describe(texts, samples, known_forms(recipe, corpus, model, options.cache))
    measured.keep(generated=found)
    drawn = [molecule.canonical for molecule in read_molecules(texts) if molecule]
    real = real_molecules(recipe, corpus, model, min(options.count, len(drawn)), options.seed)
    measured.keep(real=describe_real(real), part=real.part, mixture=real.mixture)
    measured.keep(**distances(drawn, real, options.device))
    print(report(measured.content))


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="model directory or bundled name")
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("-n", "--count", type=int, default=10_000)
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--slots", type=int, default=256, help="molecules drawn at once")
    parser.add_argument("--longest", type=int, default=512, help="tokens after which a molecule is given up")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--samples", type=Path, help="write the drawn SMILES, an empty line for each given up"
    )
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def draw_all(model: SequenceModel, options: argparse.Namespace) -> list[Sample]:
    """Draw the molecules, in the order of their numbers."""
    decoder = Decoder(model, min(options.slots, options.count))
    ways = Sampling(seed=options.seed, temperature=options.temperature, longest=options.longest)
    found = tqdm(draw(decoder, range(options.count), ways), total=options.count, desc="drawn", disable=None)
    return sorted(found, key=lambda sample: sample.number)


def known_forms(recipe: Recipe, corpus: Corpus, model: SequenceModel, cache: Path) -> set[str]:
    """Return the training molecules without stereo marks; they are kept in a file, as reading them takes minutes."""
    file = cache / f"flat-{recipe.corpus_key()}-{len(corpus.train)}-{int(corpus.train.offsets[-1])}.smi"
    if file.exists():
        return set(file.read_text(encoding="utf-8").splitlines())
    texts = tqdm(
        texts_of(corpus.train, model, np.arange(len(corpus.train))), desc="training molecules", disable=None
    )
    forms = flat_forms(texts)
    file.write_text("\n".join(sorted(forms)) + "\n", encoding="utf-8")
    return forms


def texts_of(store: TokenStore, model: SequenceModel, numbers: np.ndarray) -> list[str]:
    """Return the SMILES of some pieces of a store."""
    bounds = zip(store.offsets[numbers].tolist(), store.offsets[numbers + 1].tolist(), strict=True)
    return [model.tokenizer.decode(store.tokens[begin:end]) for begin, end in bounds]


def describe(texts: Sequence[str], samples: Sequence[Sample], known: set[str]) -> dict[str, Any]:
    """Say what drawn molecules are worth: shares with their 95 % intervals, diversity and scaffolds."""
    valid = [molecule for molecule in read_molecules(texts) if molecule]
    unique = {molecule.canonical: molecule for molecule in valid}
    novel = sum(molecule.flat not in known for molecule in unique.values())
    return {
        "drawn": len(texts),
        "given_up": sum(not sample.ended for sample in samples),
        "tokens": sum(len(sample.ids) + sample.ended for sample in samples),
        **share("validity", len(valid), len(texts)),
        **share("uniqueness", len(unique), len(valid)),
        **share("novelty", novel, len(unique)),
        **variety(list(unique.values())),
    }


def share(name: str, hits: int, total: int) -> dict[str, Any]:
    """Return a share and its interval under their names."""
    return {name: hits / total if total else None, f"{name}_interval": share_interval(hits, total)}


def variety(molecules: Sequence[Molecule]) -> dict[str, Any]:
    """Count molecules and scaffolds, and measure how different the molecules are."""
    prints = fingerprints(molecule.canonical for molecule in molecules[:COMPARED])
    scaffolds = {molecule.scaffold for molecule in molecules} - {""}
    return {
        "molecules": len(molecules),
        "scaffolds": len(scaffolds),
        "internal_diversity": internal_diversity(prints) if len(prints) > 1 else None,
    }


def real_molecules(recipe: Recipe, corpus: Corpus, model: SequenceModel, count: int, seed: int) -> Real:
    """Choose up to `count` real molecules in the mixture of training; a domain that lacks some gives all it has."""
    part, store = last_part(corpus)
    weights = np.array([domain.weight for domain in recipe.data.domains])
    rng = np.random.default_rng(seed)
    shown = np.bincount(corpus.train.domains, corpus.train.shares, len(weights)) * weights
    have = np.bincount(store.domains, minlength=len(weights))
    taken = np.minimum(have, np.round(count * shown / shown.sum()).astype(np.int64))
    held = of_domains(store, taken, rng)
    trained = of_domains(corpus.train, 2 * taken, rng)
    forms = [
        [molecule.canonical for molecule in read_molecules(texts_of(of, model, numbers)) if molecule]
        for of, numbers in ((store, held), (corpus.train, trained))
    ]
    half = len(forms[1]) // 2
    mixture = {
        name: {"trained": float(seen), "taken": int(number)}
        for name, seen, number in zip(corpus.domains, shown / shown.sum(), taken, strict=True)
    }
    return Real(part, mixture, forms[0], forms[1][:half], forms[1][half:])


def of_domains(store: TokenStore, counts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Choose that many pieces of every domain of a store, or all, in random order."""
    mine = [rng.permutation(np.flatnonzero(store.domains == domain)) for domain in range(len(counts))]
    chosen = [pieces[:count] for pieces, count in zip(mine, counts.tolist(), strict=True)]
    return rng.permutation(np.concatenate(chosen))


def describe_real(real: Real) -> dict[str, Any]:
    """Measure the variety of the held-out molecules."""
    return variety([molecule for molecule in read_molecules(dict.fromkeys(real.held_out)) if molecule])


def distances(drawn: Sequence[str], real: Real, device: str) -> dict[str, Any]:
    """Measure FCD between sets of one size, or say why it is missing."""
    if not has_chemnet():
        return {"fcd": None, "fcd_note": MISSING_FCD}
    sets = {
        "generated": drawn,
        "held_out": real.held_out,
        "training": real.trained,
        "training_too": real.trained_too,
    }
    size = min(map(len, sets.values()))
    if size < 2:
        return {"fcd": None, "fcd_note": "FCD is not measured: too few valid molecules."}
    seen = {name: chemnet(smiles[:size], device) for name, smiles in sets.items()}
    pairs = (
        ("generated", "held_out"),
        ("training", "held_out"),
        ("generated", "training"),
        ("training", "training_too"),
    )
    found = {f"{one} - {other}": frechet_distance(seen[one], seen[other]) for one, other in pairs}
    return {"fcd": found, "fcd_size": size}


_FCD = {
    "generated - held_out": "generated and held-out molecules",
    "training - held_out": "training and held-out molecules",
    "generated - training": "generated and training molecules",
    "training - training_too": "two halves of training molecules",
}


def report(content: dict[str, Any]) -> str:
    """Write the results as Markdown."""
    found, real = content["generated"], content["real"]
    options = content["options"]
    rows = [
        (name, f"{_cell(found[name])} ({_cell(low)}-{_cell(high)})", "")
        for name in ("validity", "uniqueness", "novelty")
        for low, high in (found[f"{name}_interval"],)
    ]
    rows += [
        (title, _cell(found[name]), _cell(real[name]))
        for title, name in (
            ("unique molecules", "molecules"),
            ("different Murcko scaffolds", "scaffolds"),
            ("internal diversity", "internal_diversity"),
        )
    ]
    names = ("", "generated", f"real, {content['part'].replace('_', '-')} part")
    lines = [
        f"{found['drawn']:,} molecules drawn at temperature {options['temperature']:g}, seed {options['seed']}; "
        f"{found['given_up']:,} were given up after {options['longest']:,} tokens and count as invalid.",
        "Novel: not in the training data, stereo marks aside. In brackets 95 % intervals.",
        "",
        table({name: [row[place] for row in rows] for place, name in enumerate(names)}),
    ]
    if content["fcd"] is None:
        return "\n".join([*lines, content["fcd_note"], ""])
    head = f"FCD between sets of {content['fcd_size']:,} molecules"
    pairs = {title: f"{content['fcd'][key]:.3f}" for key, title in _FCD.items()}
    return "\n".join([*lines, table({head: list(pairs), "FCD": list(pairs.values())})])


def _cell(value: float | int | None) -> str:
    """Write a count or a share."""
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"


if __name__ == "__main__":
    main()
