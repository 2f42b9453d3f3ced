"""What decoding costs far behind, what ten thousand molecules cost, and what drafts save."""

import argparse
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import torch
from decode import CHEM, SMALL
from generation_drawing import make_clock_of_all, run_command
from timing import Clock, Contender, Timing, make_clock, race, ratio, spread

import bio_xlstm as bx
from bio_xlstm.decoding import Decoder
from bio_xlstm.models.model import SequenceModel
from bio_xlstm.sampling import Opening, Sampling, draw
from bio_xlstm.sampling.constraint import Constraint
from bio_xlstm.sampling.copying import Effort, draw_copying
from bio_xlstm.sampling.opening import open_sequence, read
from bio_xlstm.tasks.generate.scaffolds import read_scaffold, spellings
from bio_xlstm.tasks.generate.spans import Redesign, SpanConstraint, open_redesign

Rows = Iterator[dict[str, Any]]
NEAR, FAR, AT_ONCE = 100, 100_000, 8
# long enough for every window to fill and be folded
STEPS = 128
# indole, and imatinib without its methyl; chain A of human haemoglobin, of which a loop is made anew
SCAFFOLDS = ("*c1ccc2[nH]ccc2c1", "Cc1ccc(NC(=O)c2ccc(CN3CCN(*)CC3)cc2)cc1Nc1nccc(-c2cccnc2)n1")
PROTEIN = (
    "MVLSPADKTNVKAAWGKVGAHAGEYGAEALERMFLSFPTTKTYFPHFDLSHGSAQVKGHGKKVADALTNAVAHVDDMPNALSALSDLHAHKLRVDPVNFKLL"
    "SHCLLVTLAAHLPAEFTPAVHASLDKFLASVSTVLTSKYR"
)
LOOP = (42, 58)


@torch.no_grad()
def measure_steady(options: argparse.Namespace) -> Rows:
    """Race steps near the beginning against steps far behind it, and watch the memory in between."""
    far = options.far or (300 if options.tiny else 20_000 if options.quick else FAR)
    model = bx.build("chem", **(SMALL if options.tiny else CHEM), seed=0).eval()
    clock = make_clock(options.device, options.clock)
    places = {NEAR: going_on(model, NEAR), far: going_on(model, far)}
    racers = [
        Contender(f"token {place:,}", run, "ours" if place == NEAR else "backend", steps=STEPS)
        for place, run in places.items()
    ]
    near, late = race(racers, options.seconds, clock)
    yield {
        "what": f"a step of {AT_ONCE} sequences, ms",
        f"at token {NEAR}": 1e3 * spread(near.samples).median,
        f"at token {far:,}": 1e3 * spread(late.samples).median,
        "ratio": _ratio(late, near),
    }
    before, after = memory_of_steps(bx.build("chem", **SMALL).eval(), far)
    yield {
        "what": "memory of the process after so many steps of a small model, MB",
        f"at token {NEAR}": before / 1e6,
        f"at token {far:,}": after / 1e6,
        "ratio": f"{after / before:.3f}",
    }


def going_on(model: SequenceModel, place: int) -> Callable[[], object]:
    """Return steps from a place on; how it is reached makes no difference, so it is read at once."""
    tokens = np.random.default_rng(0).integers(5, 40, place) % model.config.vocabulary
    state, _ = read(model, tokens)
    decoder, state = Decoder(model, AT_ONCE), state.select([0] * AT_ONCE)
    following = torch.full((AT_ONCE,), 7)

    def run() -> None:
        decoder.load(None, state)
        for _ in range(STEPS):
            decoder.step(following)

    return run


def memory_of_steps(model: SequenceModel, far: int) -> tuple[int, int]:
    """Return the bytes that the process holds after some and after many steps of one decoder."""
    decoder, tokens = Decoder(model, AT_ONCE), torch.full((AT_ONCE,), 7)
    held = []
    for count in (NEAR, far - NEAR):
        for _ in range(count):
            decoder.step(tokens)
        held.append(resident_bytes())
    return held[0], held[1]


def resident_bytes() -> int:
    """Return the memory that this process holds."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def measure_molecules(options: argparse.Namespace) -> Rows:
    """Draw the same molecules twice, with different batches."""
    count = options.count or (8 if options.tiny else 500 if options.quick else 10_000)
    clock, digests = make_clock_of_all(options.clock), set()
    with TemporaryDirectory() as folder:
        for batch in (32, 128):
            output = Path(folder) / f"{batch}.csv"
            words = ["generate", "-m", "chem-small", "-n", str(count), "-o", str(output), "-q"]
            words += ["--batch-tokens", str(batch), "--device", "cpu"]
            taken = clock(lambda words=words: run_command(words, options.threads), 1)
            digest = hashlib.sha256(output.read_bytes()).hexdigest()[:16]
            digests.add(digest)
            yield {
                "--batch-tokens": batch,
                "molecules": count,
                "seconds": taken,
                "sha256 of the file": digest,
            }
    assert len(digests) == 1, "the file depends on the batch"


@torch.no_grad()
def measure_drafts(options: argparse.Namespace) -> Rows:
    """Race drawing from drafts, one sequence after the other, against drawing without, alone and many at once."""
    clock = make_clock(options.device, options.clock)
    count = options.count or (2 if options.tiny else 16)
    chemist, biologist = (bx.load(name) for name in ("chem-small", "protein-small"))
    cases = []
    for scaffold in SCAFFOLDS:
        text = spellings(*read_scaffold(scaffold), chemist.tokenizer, seed=0)[0]
        given = open_sequence(chemist, text)
        cases.append(Case(f"scaffold, {len(text)} tokens", chemist, given, given.ids))
    ids = biologist.tokenizer.encode(PROTEIN).astype(np.int64)
    redesign = Redesign(ids, (LOOP,))
    keep = SpanConstraint(biologist.tokenizer, redesign.spans, count, keep_length=True)
    cases.append(Case("infill of a loop", biologist, open_redesign(biologist, redesign, None), ids, keep))
    for case in cases[-1 if options.tiny else 0 :]:
        for temperature in (1.0,) if options.tiny else (0.0, 1.0):
            yield race_drafts(case, temperature, count, options, clock)


class Case(NamedTuple):
    """Hold what sequences are drawn from, and with what drafts."""

    name: str
    model: SequenceModel
    opening: Opening
    source: np.ndarray  # ids that drafts are copied from
    constraint: Constraint | None = None


def race_drafts(
    case: Case, temperature: float, count: int, options: argparse.Namespace, clock: Clock
) -> dict[str, Any]:
    """Race three ways to draw the same sequences."""
    how = Sampling(seed=0, temperature=temperature, longest=len(case.opening.ids) + 40)
    efforts: list[Effort] = []
    ways: dict[str, Any] = {"opening_of": lambda number: case.opening, "constraint": case.constraint}
    alone, together = Decoder(case.model, 1), Decoder(case.model, count)

    def copying() -> object:
        efforts.clear()
        ids = range(count)
        return list(draw_copying(case.model, ids, how, source=case.source, count=efforts.append, **ways))

    racers = [
        Contender("with drafts", copying, "ours"),
        Contender("one at a time", lambda: list(draw(alone, range(count), how, **ways)), "backend"),
        Contender("all at once", lambda: list(draw(together, range(count), how, **ways)), "backend"),
    ]
    drafts, single, many = race(racers, options.seconds / 2, clock)
    drawn, passes = (sum(values) for values in zip(*efforts, strict=True))
    return {
        "case": case.name,
        "temperature": temperature,
        "tokens": drawn,
        "passes with drafts": passes,
        "drafts, tokens/s": drawn / spread(drafts.samples).median,
        "faster than one at a time by": _ratio(single, drafts),
        "faster than all at once by": _ratio(many, drafts),
    }


def _ratio(over: Timing, under: Timing) -> str:
    """Write how much longer one takes."""
    found = ratio(over, under)
    assert found is not None, "both ran"
    return f"{found.median:.2f} ({found.low:.2f}-{found.high:.2f})"
