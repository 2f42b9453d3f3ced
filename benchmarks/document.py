"""Run the benchmarks of the kernels and write docs/kernels.md, with all numbers beside it.

    python benchmarks/document.py [--only decoding] [--quick] [--seconds 2] [--threads 1]
    python benchmarks/document.py --render        measure nothing, write the document from the numbers at hand

Every section is written as soon as it is measured; sections that are not run keep the numbers they have. Exit code 1
says that a section or something of ours failed.
"""

import argparse
import datetime
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from report import keep
from summary import failed, memory_section, speed_section
from targets import Figures, target_table
from timing import add_conditions, settle

from bio_xlstm.cli.main import ENVIRONMENT
from bio_xlstm.cli.memory import ALLOCATOR

HERE = Path(__file__).resolve().parent

VARIABLES = {**ENVIRONMENT, **ALLOCATOR}
INTRODUCTION = """\
# Speed of the kernels

Written by `python benchmarks/document.py`; all numbers, with spreads and versions, are in `{folder}/`. Contenders of a
line run in turn, round after round, and ratios are medians over rounds. The environment is that of the `bioxlstm`
command, for all contenders alike ({environment}). Cases are sequences x tokens, for primitives also heads x width.

- `ours, ms`: the median time of what users get. `of bound`: the lower bound's time over ours; 1.0 is as fast as the
  matrix products alone (of a convolution: as reading and writing), 0.5 takes twice as long.
- Other columns: how many times our time another one takes; 3.0 x is three times as slow as ours.
- The bound of a block is its two projections and the products inside the mLSTM, as torch computes them with operands in
  the cache; everything else counts as nothing. Triangles count in full, so leaving out their empty half can exceed 1.
  That of a decoding step is its projections at that number of sequences, and the state read once; torch's products of
  a few rows take longer than reading the weights does, so a step can be faster than this bound.
- A processor without arithmetic for bfloat16 has it emulated: torch's products then take many times as long as in
  float32, and are an easy bound. `of float32 products` is the honest one: the same products in float32. One with it
  (`instructions avx512_bf16` or `amx_bf16`) computes projections in bfloat16, several times as fast; the memory of the
  mLSTM is computed in float32 on every processor, and stays below the bound in bfloat16 there.

## Targets
"""
MISSING = "Not measured yet: `python benchmarks/document.py --only {name}`.\n"


PASSED_ON = ("device", "quick", "tiny", "seconds", "threads", "clock")


class Section(NamedTuple):
    """Name what is measured and the script that does it."""

    name: str
    title: str
    file: str
    script: str
    options: tuple[str, ...] = ()


SECTIONS = (
    Section("primitives", "Primitives", "kernels", "kernels.py"),
    Section("blocks", "Blocks and models", "blocks", "blocks.py"),
    Section("memory", "Memory of a training step", "memory", "blocks.py", ("--memory",)),
    Section("decoding", "Decoding", "decode", "decode.py"),
)


def for_gpu(section: Section) -> Section:
    """Return the same section as measured on a GPU."""
    return section._replace(title=f"{section.title} on a GPU", file=f"{section.file}-gpu")


def measure(section: Section, options: list[str], folder: Path) -> None:
    """Run a script and keep its numbers, those of a part where it fails."""
    arguments = [section.script, *section.options, *options]
    print(f"== {' '.join(arguments)}", file=sys.stderr, flush=True)
    file = folder / f"{section.file}.json"
    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / f"{section.file}.new"
    command = [sys.executable, str(HERE / section.script), *arguments[1:], "--json", str(fresh)]
    code = subprocess.run(command, stdout=sys.stderr, check=False, env={**VARIABLES, **os.environ}).returncode
    kept: dict[str, Any] = json.loads(fresh.read_text()) if fresh.exists() else {"machine": {}, "rows": []}
    fresh.unlink(missing_ok=True)
    called = f"python benchmarks/{' '.join(arguments)}"
    kept |= {"command": called, "date": datetime.date.today().isoformat(), "failed": ""}
    if code and not kept["rows"] and file.exists():
        kept = json.loads(file.read_text())
    if code:
        kept["failed"] = f"`{called}` ended with exit code {code}"
    keep(file, kept)


def read_figures(folder: Path) -> Figures:
    """Read all numbers at hand."""
    figures = {}
    for file in (section.file for each in SECTIONS for section in (each, for_gpu(each))):
        path = folder / f"{file}.json"
        if path.exists():
            try:
                figures[file] = json.loads(path.read_text())
            except (OSError, ValueError) as error:
                raise SystemExit(f"cannot read {path}: {error}") from None
    return figures


def write(output: Path, folder: Path) -> Figures:
    """Write the document from the numbers at hand; a section without any keeps the text it has."""
    figures, earlier = read_figures(folder), split(output.read_text()) if output.exists() else {}
    parts = [
        INTRODUCTION.format(folder=folder.name, environment=_as_shell(VARIABLES)),
        target_table(figures),
    ]
    for section in SECTIONS:
        if section.file in figures:
            parts.append(describe(section, figures[section.file]))
        else:
            parts.append(
                earlier.get(section.title) or f"## {section.title}\n\n{MISSING.format(name=section.name)}"
            )
    on_gpu = [section for section in map(for_gpu, SECTIONS) if section.file in figures]
    parts += [describe(section, figures[section.file]) for section in on_gpu]
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text("\n".join(parts))
    except OSError as error:
        raise SystemExit(f"cannot write {output}: {error}") from None
    return figures


def split(text: str) -> dict[str, str]:
    """Take a document apart: title of a section -> the section."""
    _, *sections = text.split("\n## ")
    return {part.split("\n", 1)[0]: f"## {part.rstrip()}\n" for part in sections}


def describe(section: Section, kept: Figures) -> str:
    """Return a section: where it was measured, what was reached, the tables."""
    machine = ", ".join(f"{key} {value}" for key, value in kept["machine"].items() if value)
    parts = [f"## {section.title}\n", f"`{kept['command']}`, {kept['date']}; {machine}\n"]
    if kept["failed"]:
        parts.append(f"**This section failed: {kept['failed']}.** What follows was measured before that.\n")
    parts.append((memory_section if section.name == "memory" else speed_section)(kept["rows"]))
    return "\n".join(parts)


def main() -> None:
    """Measure what is asked for, and write the document after each section."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=HERE.parent / "docs" / "kernels.md")
    parser.add_argument("--only", action="append", choices=[section.name for section in SECTIONS])
    parser.add_argument("--render", action="store_true", help="measure nothing")
    add_conditions(parser, "each script's own")
    parser.set_defaults(full_seconds=0.0)  # never used: the scripts know their own
    options = parser.parse_args()
    given = [
        word
        for name in PASSED_ON
        if name == "threads" or getattr(options, name) != parser.get_default(name)
        for word in _as_words(name, getattr(options, name))
    ]
    settle(options)
    folder = options.output.with_suffix("")
    chosen = [section for section in SECTIONS if not options.only or section.name in options.only]
    figures = write(options.output, folder)
    for section in [] if options.render else chosen:
        measure(for_gpu(section) if options.device == "cuda" else section, given, folder)
        figures = write(options.output, folder)
    print(f"wrote {options.output}")
    wrong = [name for name, kept in figures.items() if kept["failed"] or any(map(failed, kept["rows"]))]
    if wrong:
        raise SystemExit(f"failed: {', '.join(wrong)}; see {options.output}")


def _as_shell(environment: dict[str, str]) -> str:
    """Return variables as a shell takes them."""
    return " ".join(f"`{name}={value}`" for name, value in environment.items())


def _as_words(name: str, value: object) -> list[str]:
    """Return an option as it is typed."""
    return [f"--{name}"] if value is True else [f"--{name}", str(value)]


if __name__ == "__main__":
    main()
