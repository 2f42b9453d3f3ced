"""Write what was measured of the bundled models into docs/models.md and into their cards.

    python benchmarks/model_cards.py --results DIR [--check]

DIR holds the files that perplexity.py, language_models.py, molecules.py, homologs.py and probes.py wrote with --json,
under any names. Only what stands between the marker lines changes, so the command can be given again. Results of other
weights than those in a model's directory, and of runs that were made shorter or did not end, are left out and named;
what was not measured says so. Exit code 1: something was left out. With --check nothing is written, and exit code 1
says that a document would change.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import homologs
import language_models
import molecules
import perplexity
import probes
from markers import BEGIN, END, between_markers
from measured import HASH, table
from options import make_parser, run_script

import bio_xlstm
from bio_xlstm.models.directory import CARD
from bio_xlstm.models.model import SequenceModel
from bio_xlstm.tasks.pretrain.card import QUALITY
from bio_xlstm.tokenizers.tokenizer import counted

ROOT = Path(__file__).resolve().parent.parent
OVERVIEW, MODELS = "overview", "models"
# a comparison of shorter trainings was made to try the script out
LEAST_STEPS = 500


class Section(NamedTuple):
    """Name a benchmark, its title, the models it is for, what writes its results, and which results are whole."""

    benchmark: str
    title: str
    fits: Callable[[SequenceModel], bool]
    report: Callable[[dict[str, Any]], str]
    options: dict[str, Any]
    """What must have been asked for: a card holds no result of a run that was made shorter to try it out."""
    whole: Callable[[dict[str, Any], SequenceModel], bool]
    """Whether the run came to its end."""


def _has_rows(content: dict[str, Any], model: SequenceModel) -> bool:
    """Tell whether a run that keeps its rows at the end came there."""
    return bool(content.get("rows"))


def _all_peers(content: dict[str, Any], model: SequenceModel) -> bool:
    """Tell whether all contenders were trained, from all seeds, for a number of steps that says something."""
    rows, seeds = content.get("rows", []), range(content["options"].get("seeds", 1))
    done = {(row["model"], row["seed"]) for row in rows}
    wanted = {(name, seed) for name in language_models.MAKERS for seed in seeds}
    return wanted <= done and content["comparison"]["steps"] >= LEAST_STEPS


def _all_sets(content: dict[str, Any], model: SequenceModel) -> bool:
    """Tell whether all labelled sets of a modality were measured."""
    return len(content.get("rows", [])) == len(probes.SETS[model.kind])


SECTIONS = (
    Section(
        "perplexity",
        QUALITY.removeprefix("## "),
        lambda model: True,
        perplexity.report,
        {"tokens": 0, "window": 0},
        _has_rows,
    ),
    Section(
        "language_models",
        "Against an LSTM and a Transformer of equal parameters",
        lambda model: True,
        language_models.report,
        {"tokens": 0},
        _all_peers,
    ),
    Section(
        "molecules",
        "Drawn molecules",
        lambda model: model.kind == "smiles" and model.causal,
        molecules.report,
        {"count": 10_000, "temperature": 1.0},
        lambda content, model: "fcd" in content,
    ),
    Section(
        "homologs",
        "What homologs tell",
        lambda model: model.kind == "protein" and model.causal,
        homologs.report,
        {"limit": 0, "proteins": 10, "longest": 1000},
        lambda content, model: _has_rows(content, model) and content["sizes"] == [0, 1, 10, 50],
    ),
    Section(
        "probes",
        "Embeddings with a linear model",
        lambda model: True,
        probes.report,
        {"only": "", "limit": 6000, "splits": 3, "resamples": 1000},
        _all_sets,
    ),
)
BENCHMARKS = {section.benchmark: section for section in SECTIONS}


def main() -> None:
    """Write the documents, or say what would change."""
    options = parse()
    results = read_results(options.results)
    folders = sorted(path.parent for path in options.models.glob("*/tokenizer.json"))
    loaded = {folder: bio_xlstm.load(str(folder)) for folder in folders}
    left_out = unusable(results, list(loaded.values()))
    for line in left_out:
        print(line, file=sys.stderr)
    texts = {options.document: filled_document(options.document.read_text(encoding="utf-8"), loaded, results)}
    for folder, model in loaded.items():
        card = (folder / CARD).read_text(encoding="utf-8")
        texts[folder / CARD] = filled_card(card, model, results)
    changed = [path for path, text in texts.items() if path.read_text(encoding="utf-8") != text]
    for path in changed:
        print(f"{'would change' if options.check else 'wrote'} {path}")
        if not options.check:
            path.write_text(texts[path], encoding="utf-8")
    raise SystemExit(1 if left_out or (options.check and changed) else 0)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument("--results", type=Path, required=True, help="folder of JSON files")
    parser.add_argument("--models", type=Path, default=ROOT / "bio_xlstm" / "bundled")
    parser.add_argument("--document", type=Path, default=ROOT / "docs" / "models.md")
    parser.add_argument("--check", action="store_true", help="write nothing")
    return parser.parse_args()


def read_results(folder: Path) -> list[dict[str, Any]]:
    """Read all results of a folder; two of one benchmark and model are refused."""
    known = set(BENCHMARKS)
    found: dict[tuple[str, str], Path] = {}
    results = []
    for path in sorted(folder.glob("*.json")):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise SystemExit(f"{path} is no JSON file: {error}") from None
        if not isinstance(content, dict) or content.get("benchmark") not in known:
            raise SystemExit(f"{path} holds no result of {', '.join(sorted(known))}")
        key = content["benchmark"], content["model"]
        if key in found:
            raise SystemExit(f"{path} and {found[key]} both hold {key[0]} of {key[1]}")
        found[key] = path
        results.append(content)
    if not results:
        raise SystemExit(f"{folder} holds no JSON file")
    return results


def unusable(results: Sequence[dict[str, Any]], models: Sequence[SequenceModel]) -> list[str]:
    """Name the results that belong to no model, or to other weights than a model has now."""
    named = {model.name: model for model in models}
    lines = []
    for content in results:
        what = f"{content['benchmark']} of {content['model']}"
        model = named.get(content["model"])
        if model is None:
            lines.append(f"left out: {what}, as there is no such model")
        elif not of_these_weights(content, model):
            lines.append(
                f"left out: {what}, as it was measured on other weights, or with another recipe's data"
            )
        elif reason := shortened(content, model):
            lines.append(f"left out: {what}, as {reason}")
    return lines


def of_these_weights(content: dict[str, Any], model: SequenceModel) -> bool:
    """Tell whether a result is about the weights of a model and what its own recipe holds out.

    Comparisons that train their own have no weights, and labelled sets no recipe.
    """
    its_own = content["weights"] in ("", model.weight_hash()[:HASH])
    return content["model"] == model.name and its_own and content.get("recipe") in (None, "", model.name)


def usable(content: dict[str, Any], model: SequenceModel) -> bool:
    """Tell whether a result may stand in the card of a model."""
    return of_these_weights(content, model) and not shortened(content, model)


def shortened(content: dict[str, Any], model: SequenceModel) -> str:
    """Say why a result is not that of a whole run, "" where it is."""
    section, asked = BENCHMARKS[content["benchmark"]], content.get("options", {})
    for name, needed in section.options.items():
        if asked.get(name) != needed:
            return f"it was measured with {name} {asked.get(name)!r}, not {needed!r}"
    return "" if section.whole(content, model) else "its run was ended early, or made shorter"


def sections(model: SequenceModel, results: Sequence[dict[str, Any]], level: int) -> str:
    """Write all sections of a model under headings of a level."""
    parts = []
    for section in SECTIONS:
        if not section.fits(model):
            continue
        found = [
            content
            for content in results
            if content["benchmark"] == section.benchmark and usable(content, model)
        ]
        body = described(section, found[0]) if found else _missing(section)
        parts.append(f"{'#' * level} {section.title}\n\n{body}")
    return "\n\n".join(parts)


def described(section: Section, content: dict[str, Any]) -> str:
    """Write a result, and where it comes from."""
    machine = content["machine"]
    where = machine.get("gpu") or f"{machine['cpu']}, {counted(machine['threads'], 'thread')}"
    source = f"`benchmarks/{section.benchmark}.py`, {content['date']}, {where}, torch {machine['torch']}"
    return f"{section.report(content).strip()}\n\n{source}"


def _missing(section: Section) -> str:
    """Say that something was not measured."""
    return f"Not measured for these weights: `benchmarks/{section.benchmark}.py`."


def overview(loaded: dict[Path, SequenceModel]) -> str:
    """Tabulate the models."""
    rows = list(loaded.items())
    return table(
        {
            "model": [f"[{model.name}](#{model.name})" for _, model in rows],
            "reads": [model.kind for _, model in rows],
            "parameters": [f"{model.parameter_count:,}" for _, model in rows],
            "MB": [
                f"{sum(file.stat().st_size for file in folder.iterdir()) / 1e6:.1f}" for folder, _ in rows
            ],
            "width x blocks x heads": [
                f"{model.config.dim} x {model.config.blocks} x {model.config.heads}" for _, model in rows
            ],
            "direction": [model.config.direction for _, model in rows],
            "objective": [model.config.objective for _, model in rows],
            "strands": [model.config.reverse_complement for _, model in rows],
        }
    ).strip()


def filled_document(text: str, loaded: dict[Path, SequenceModel], results: Sequence[dict[str, Any]]) -> str:
    """Put overview and results between the markers of the document."""
    text = between_markers(text, OVERVIEW, overview(loaded))
    parts = [f"## {model.name}\n\n{sections(model, results, level=3)}" for model in loaded.values()]
    return between_markers(text, MODELS, "\n\n".join(parts))


def filled_card(text: str, model: SequenceModel, results: Sequence[dict[str, Any]]) -> str:
    """Put results between the markers of a card; a card without them ends with them from now on.

    They take the place of what training wrote about its held-out data, which they hold in full.
    """
    begin, end = (marker.format(name=model.name) for marker in (BEGIN, END))
    if begin not in text:
        measured = any(content["benchmark"] == "perplexity" and usable(content, model) for content in results)
        kept = text.split(QUALITY)[0] if measured else text
        text = f"{kept.rstrip()}\n\n{begin}\n{end}\n"
    return between_markers(text, model.name, sections(model, results, level=2))


if __name__ == "__main__":
    run_script(main)
