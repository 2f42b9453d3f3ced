"""Run the benchmarks of the kernels and write their tables to docs/kernels.md."""

import argparse
import datetime
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent

INTRODUCTION = """\
# Speed of the kernels

Written by `python benchmarks/document.py` on {date}; every table names its machine. A share is the lower bound's time
over ours, taken inside a round in which every contender ran once: 1.0 is as fast as the matrix products alone (or,
where a table says so, as reading the memory). Contenders that are not installed say so.

The lower bound of a block is its two projections and the products inside the mLSTM, as torch computes them with all
operands in the cache; convolution, block-diagonal maps, gates, norms and activations count as nothing. That of a
decoding step is its projections at that number of sequences, and the state read once at the measured bandwidth. Whole
tiles of a triangle count, so a kernel that leaves out the empty half can exceed 1.
"""


class Section(NamedTuple):
    """Name one table and the script that prints it."""

    title: str
    script: str
    options: tuple[str, ...]


SECTIONS = (
    Section("Primitives", "kernels.py", ()),
    Section("Blocks and models", "blocks.py", ()),
    Section("Memory of a training step", "blocks.py", ("--memory",)),
    Section("Decoding", "decode.py", ()),
)


def run(section: Section, options: list[str]) -> str:
    """Return what a script prints, with its command."""
    arguments = [section.script, *section.options, *options]
    print(f"== {' '.join(arguments)}", file=sys.stderr, flush=True)
    done = subprocess.run(
        [sys.executable, str(HERE / section.script), *arguments[1:]],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return f"## {section.title}\n`python benchmarks/{' '.join(arguments)}`\n\n{done.stdout.strip()}\n"


def main() -> None:
    """Write the document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=HERE.parent / "docs" / "kernels.md")
    parser.add_argument("--only", action="append", choices=[section.title for section in SECTIONS])
    known, options = parser.parse_known_args()
    parts = [INTRODUCTION.format(date=datetime.date.today().isoformat())]
    parts += [run(section, options) for section in SECTIONS if not known.only or section.title in known.only]
    known.output.write_text("\n".join(parts))
    print(f"wrote {known.output}")


if __name__ == "__main__":
    main()
