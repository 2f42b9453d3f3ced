"""How a run ended: where the result is, how much was accepted and why not more, how to load it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from bio_xlstm.tasks.generate.setup import Job
from bio_xlstm.tasks.generate.words import NOUNS
from bio_xlstm.tasks.generate.writing import HINTS
from bio_xlstm.tasks.progress import size
from bio_xlstm.tokenizers.tokenizer import counted

_REFUSED = "refused: "
LEFT_OUT = "left_out"


class Outcome(NamedTuple):
    """Say how a run ended: how many rows, the lines for the user, and what is missing, "" for nothing."""

    rows: int
    lines: tuple[str, ...]
    shortage: str


def describe(job: Job, record: Mapping[str, Any]) -> Outcome:
    """Describe a finished run by what was written down about it."""
    rows, tried, wanted = (int(record[name]) for name in ("rows", "tried", "wanted"))
    noun, output = NOUNS[job.model.kind], job.request.output
    kept = min(rows, job.request.kept or rows)
    accepted = f"{counted(rows, noun)} of {tried:,} {'try' if tried == 1 else 'tries'}" + (
        f" ({rate(rows, tried)})" if job.request.choosy else ""
    )
    if kept < rows:
        accepted += f", the {kept:,} of least perplexity kept"
    if record.get(LEFT_OUT):
        accepted += f", {record[LEFT_OUT]:,} of them empty and left out, as .{job.form} has no line for them"
    refused = {key.removeprefix(_REFUSED): int(n) for key, n in record.items() if key.startswith(_REFUSED)}
    reasons = ", ".join(f"{n:,} {reason}" for reason, n in sorted(refused.items(), key=lambda pair: -pair[1]))
    where = "wrote to standard output"
    if output != "-":
        where = f"wrote {output} ({job.form}, {size(Path(output).stat().st_size)})"
    shortage = ""
    if rows < wanted:
        shortage = (
            f"{rows:,} of {counted(wanted, noun)}: {rate(rows, tried)} of {tried:,} tries were accepted ({reasons}). "
            "What was accepted is written; --max-tries allows more, wider limits need fewer"
        )
    second = accepted + (f"; refused: {reasons}" if reasons else "")
    hint = () if output == "-" else (f"load: {HINTS[job.form].format(path=output)}",)
    return Outcome(rows, (where, second, *hint), shortage)


def rate(part: int, whole: int) -> str:
    """Write a share for people.

    >>> rate(3, 2000), rate(1, 3)
    ('0.15 %', '33 %')
    """
    return f"{100 * part / max(whole, 1):.2g} %" if part < whole else "100 %"
