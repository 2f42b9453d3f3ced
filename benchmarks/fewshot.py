"""Measure in-context prediction beside baselines on small supports of public assays, and a library against one state.

    python benchmarks/fewshot.py --data DIR --results DIR [--only SET ...] [--model chem-icl] [--document FILE]
    python benchmarks/fewshot.py --results DIR --document docs/fewshot.md

DIR of the data holds mol_assays and, for the numbers that others published, reference. Every set is a run of
`bioxlstm evaluate fewshot`, whose output is kept in the folder of results and not measured again for the same weights,
seeds and methods; a run that was killed goes on. Without --data nothing is measured. --document puts all tables between
the marker lines of a document, with everything that was asked beside what was measured.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch
from fewshot_library import measure_library
from fewshot_report import report
from fewshot_sets import SETS, FewshotSet, published
from markers import show
from options import make_parser, run_script
from report import describe_machine, keep

from bio_xlstm.in_context.directory import load_in_context
from bio_xlstm.tasks.fewshot.methods.choose import METHODS
from bio_xlstm.tasks.fewshot.request import LEARNER, FewshotRequest
from bio_xlstm.tasks.fewshot.run import evaluate_fewshot

BENCHMARK, LIBRARY, PUBLISHED = "fewshot", "library", "published"
# where fewshot_official.py keeps what it found
OFFICIAL = "fewshot-official"


def main() -> None:
    """Measure what is missing, and print the tables or put them into a document."""
    options = parse()
    torch.set_num_threads(options.threads)
    if options.data:
        measure_all(options)
    found = {name: content for name in SETS if (content := joined(options.results, name))}
    library, others = (earlier(options.results / f"{name}.json") for name in (LIBRARY, PUBLISHED))
    official = earlier(options.results / OFFICIAL / "found.json")
    text = report(found, library, (others or {}).get("means", {}), official)
    show(f"{text}\n\n`benchmarks/fewshot.py`, {source(found)}", BENCHMARK, options.document)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument("--data", type=Path, help="folder with mol_assays and reference")
    parser.add_argument("--results", type=Path, required=True, help="folder that keeps what was measured")
    parser.add_argument("--only", action="append", choices=[*SETS, LIBRARY], metavar="SET",
                        help=f"{', '.join(SETS)}, {LIBRARY}")  # fmt: skip
    parser.add_argument("--model", default=LEARNER, help="in-context learner [%(default)s]")
    parser.add_argument("--methods", default="", help=f"some of {','.join(METHODS)} [all]")
    parser.add_argument("--seeds", type=int, default=10, help="draws per size and assay [%(default)s]")
    parser.add_argument("--molecules", type=int, default=100_000, help="of the library [%(default)s]")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads [%(default)s]")
    parser.add_argument("--device", default="cpu", help="[%(default)s]")
    parser.add_argument("--document", type=Path, help="fill this document")
    return parser.parse_args()


def measure_all(options: argparse.Namespace) -> None:
    """Measure every set that is asked for, and the library."""
    wanted = options.only or [*SETS, LIBRARY]
    options.results.mkdir(parents=True, exist_ok=True)
    for name in SETS:
        if name in wanted:
            measure_set(name, SETS[name], options)
    if LIBRARY in wanted and any(METHODS[name].learns for name in chosen(options)):
        learner = load_in_context(options.model)
        taken = measure_library(learner, options.molecules, options.threads)
        taken |= {"weights": learner.weight_hash(), "machine": describe_machine("cpu")["cpu"]}
        keep(options.results / f"{LIBRARY}.json", taken)
    sizes = SETS["fsmol"].options["support"]
    keep(options.results / f"{PUBLISHED}.json", {"means": published(options.data / "reference", sizes)})


def measure_set(name: str, one: FewshotSet, options: argparse.Namespace) -> None:
    """Run `evaluate fewshot` on a set for the learner, and for every baseline, unless that was done before.

    Baselines stay as they are when the learner's weights change.
    """
    learning = [method for method in chosen(options) if METHODS[method].learns]
    baselines = [[method] for method in chosen(options) if not METHODS[method].learns]
    for methods in [learning, *baselines]:
        fitting = [
            method for method in methods if METHODS[method].numeric or one.options.get("task") != "regression"
        ]
        if not fitting:
            continue
        output = options.results / f"{name}.{'learner' if methods is learning else fitting[0]}.json"
        request = request_for(one, fitting, output, options)
        if is_done(output, request, options):
            print(f"{output.stem}: kept from an earlier run", file=sys.stderr)
            continue
        evaluate_fewshot(
            request, lambda line, stem=output.stem: print(f"{stem}: {line}", file=sys.stderr, flush=True)
        )


def request_for(
    one: FewshotSet, methods: list[str], output: Path, options: argparse.Namespace
) -> FewshotRequest:
    """Say what is measured on a set, in the words of the command."""
    folder = options.data / "mol_assays"
    return FewshotRequest(
        input=str(folder / one.file),
        output=str(output),
        model=options.model,
        methods=tuple(methods),
        seeds=options.seeds,
        groups=str(folder / one.groups) if one.groups else None,
        device=options.device,
        overwrite=True,
        **one.options,
    )


def chosen(options: argparse.Namespace) -> list[str]:
    """Return the methods that are asked for."""
    return [name for name in METHODS if not options.methods or name in options.methods.split(",")]


def is_done(output: Path, request: FewshotRequest, options: argparse.Namespace) -> bool:
    """Tell whether a file holds what a request asks for."""
    content = earlier(output)
    if content is None:
        return False
    learns = any(METHODS[name].learns for name in request.chosen)
    weights = load_in_context(options.model).weight_hash() if learns else ""
    same = content["provenance"]["weight_hash"] == weights
    return same and [*content["methods"]] == [*request.chosen] and content["seeds"] == [*request.draws]


def earlier(path: Path) -> dict[str, Any] | None:
    """Return what a file of results holds, None where there is none."""
    if not path.exists():
        return None
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def joined(folder: Path, name: str) -> dict[str, Any] | None:
    """Return what all methods reached on a set, the learner first; None where nothing was measured.

    Files of other seeds than the learner's are left out: their draws are others.
    """
    files = sorted(
        folder.glob(f"{name}.*.json"), key=lambda path: (path.stem != f"{name}.learner", path.stem)
    )
    pieces = [content for path in files if (content := earlier(path)) is not None]
    pieces = [content for content in pieces if content["seeds"] == pieces[0]["seeds"]]
    if not pieces:
        return None
    whole = dict(pieces[0])
    for key in ("methods", "seconds"):
        whole[key] = {name: value for content in pieces for name, value in content[key].items()}
    for key in ("results", "assays"):
        whole[key] = [row for content in pieces for row in content[key]]
    return whole


def source(found: dict[str, dict[str, Any]]) -> str:
    """Say which learner was measured."""
    names = {
        f"{one['provenance']['model']} ({one['provenance']['weight_hash'][:12]})"
        for one in found.values()
        if one["provenance"]["model"]
    }
    return ", ".join(sorted(names)) or "baselines alone"


if __name__ == "__main__":
    run_script(main)
