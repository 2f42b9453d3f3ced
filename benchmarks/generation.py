"""Measure generation: how fast sequences are drawn, beside what else one could use, and what a context changes.

    python benchmarks/generation.py [SECTION ...] [--quick] [--threads 2] [--data DIR] [--json FILE]

`drawing`: a Chem-xLSTM of 14.8 million parameters with random weights, the whole command and its inner loop, against
the plain step in torch and transformers' GPT-2 of equal size with its key/value cache; 60 tokens, and 16 more after
2,000. `steady`: speed at token 100 and at token 100,000, and memory in between. `molecules`: 10,000 molecules with
chem-small, the whole command, with two batch sizes. `drafts`: copying from what is given against drawing many at once.
`contexts`: molecules drawn after 20 of an unseen domain, and after none, against the rest of it. `families`: proteins
drawn after homologs, and after none, by the family's profile; and how much context is worth its time.
`contexts` and `families` need --data, and the packages fcd and pyhmmer for FCD and profiles.

Contenders take turns, and ratios are taken inside a round. With one thread, processor time is counted, that of started
processes too, which is steady on a busy machine.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from generation_contexts import measure_contexts
from generation_drawing import measure_drawing
from generation_families import measure_families
from generation_steady import measure_drafts, measure_molecules, measure_steady
from measured import Measured, table
from options import run_script
from timing import add_options, progress, settle

Row = dict[str, Any]


class Section(NamedTuple):
    """Hold one table of the report."""

    title: str
    measure: Callable[[argparse.Namespace], Iterator[Row]]
    needs_data: bool = False


SECTIONS = {
    "drawing": Section("Tokens per second, 14.8 million parameters", measure_drawing),
    "steady": Section("From token 100 to token 100,000", measure_steady),
    "molecules": Section("10,000 molecules with chem-small, the whole command", measure_molecules),
    "drafts": Section("Drafts copied from what is given", measure_drafts),
    "contexts": Section("Molecules of an unseen domain, 20 of it as context", measure_contexts, True),
    "families": Section("Proteins of a family, its homologs as context", measure_families, True),
}


def main() -> None:
    """Measure the sections that are asked for, and print a table of each."""
    options = parse()
    settle(options)
    measured = Measured("generation", None, options, "random weights and bundled models")
    measured.content["machine"]["clock"] = options.clock
    print(f"Generation: {', '.join(f'{k} {v}' for k, v in measured.content['machine'].items() if v)}")
    chosen = options.sections or [
        name for name, section in SECTIONS.items() if options.data or not section.needs_data
    ]
    for name in chosen:
        progress(SECTIONS[name].title)
        rows: list[Row] = []
        for row in SECTIONS[name].measure(options):
            rows.append(row)
            progress("  " + ", ".join(f"{key}: {cell(value)}" for key, value in row.items()))
            # a run that is cut short keeps its rows
            measured.keep(**{name: rows})
        print(f"\n## {SECTIONS[name].title}\n\n{render(rows)}", flush=True)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    # not `choices`: an empty list would be refused
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"{', '.join(SECTIONS)}  [all]")
    add_options(parser, 20.0)
    parser.add_argument("--data", type=Path, help="folder that holds smiles/ and msas/")
    parser.add_argument("--count", type=int, help="sequences drawn in every case of a section")
    parser.add_argument("--domains", type=int, help="domains or families that are measured")
    parser.add_argument("--sequences", type=int, nargs="+", help="of drawing: sequences at once  [1 64]")
    parser.add_argument("--dtypes", nargs="+", default=["float32", "bfloat16"], help="of drawing  [both]")
    parser.add_argument("--far", type=int, help="of steady: tokens that lie far behind")
    options = parser.parse_args()
    for name in options.sections:
        if name not in SECTIONS:
            parser.error(f"there is no section {name!r}; known: {', '.join(SECTIONS)}")
        if SECTIONS[name].needs_data and not options.data:
            parser.error(f"{name} needs --data, the folder that holds smiles/ and msas/")
    return options


def render(rows: Sequence[Row]) -> str:
    """Write rows as a Markdown table, their keys as its columns."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    return table({key: [cell(row.get(key)) for row in rows] for key in columns})


def cell(value: object) -> str:
    """Write a value for people."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


if __name__ == "__main__":
    run_script(main)
