"""Drawing sequences with a Chem-xLSTM of 14.8 million parameters, against a plain step and transformers' GPT-2."""

import argparse
import csv
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from decode import CHEM, SMALL, plain_step
from peers import Peer
from setting import DTYPES, Setting, Shape
from timing import Clock, Contender, Timing, progress, race, ratio, spread
from torch import Tensor

import bio_xlstm as bx
from bio_xlstm.decoding import Decoder
from bio_xlstm.models.model import SequenceModel
from bio_xlstm.sampling import Opening, Sampling, draw
from bio_xlstm.sampling.constraint import Letters
from bio_xlstm.sampling.opening import read, start_of

MOLECULE, LONG, AFTER_LONG = 60, 2000, 16  # tokens
AT_ONCE = (1, 64)
COMMAND = "import sys; from bio_xlstm.cli.main import main; sys.argv[0] = 'bioxlstm'; main()"
OURS, WHOLE = "draw", "bioxlstm generate, whole command"


@torch.no_grad()
def measure_drawing(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Race all contenders in every case."""
    counts = options.sequences or ((1, 3) if options.tiny else AT_ONCE)
    clock = make_clock_of_all(options.clock)
    for dtype in options.dtypes:
        model = bx.build("chem", **(SMALL if options.tiny else CHEM), seed=0).eval().to(DTYPES[dtype])
        for count in counts:
            for begin in (0, 40 if options.tiny else LONG):
                progress(f"{count} sequences, {dtype}, from token {begin}")
                timings = race(contenders(model, count, begin, dtype, options), options.seconds, clock)
                yield from describe(timings, count, begin, dtype)


def make_clock_of_all(kind: str) -> Clock:
    """Return a clock that counts the processor time of processes that were started, too."""

    def now() -> float:
        if kind == "wall":
            return time.perf_counter()
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return time.process_time() + children.ru_utime + children.ru_stime

    def seconds(run: Callable[[], object], calls: int) -> float:
        begin = now()
        for _ in range(calls):
            run()
        return (now() - begin) / calls

    return seconds


def contenders(
    model: SequenceModel, count: int, begin: int, dtype: str, options: argparse.Namespace
) -> list[Contender]:
    """Return what draws `count` sequences at once, from token `begin` on; a step is one token of all of them."""
    steps = AFTER_LONG if begin else MOLECULE
    size = f"{model.parameter_count / 1e6:.1f} M parameters"
    whole = [] if begin or count == 1 else [command(model, count, dtype, options)]
    setting = Setting(
        Shape(count, begin, CHEM["heads"], 0), begin + steps, model.dtype, "cpu", backward=False
    )
    return [
        Contender(OURS, drawing(model, count, begin, steps), "ours", size, steps=steps),
        *whole,
        Contender("plain step in torch", plain_drawing(model, count, 4), "backend", size, steps=4),
        Gpt2(model.parameter_count, model.config.vocabulary, steps).contender(setting)._replace(steps=steps),
    ]


def drawing(model: SequenceModel, count: int, begin: int, steps: int) -> Callable[[], object]:
    """Return a run of the library's loop: a step, a choice, and what is written down, for sequences that never end."""
    constraint = Letters(model.tokenizer)
    constraint._allowed = constraint._allowed.copy()
    constraint._allowed[:, model.tokenizer.stop] = False
    start, state = start_of(model.tokenizer), None
    if begin:
        state, _ = read(model, np.full(begin, start))
    decoder, how = Decoder(model, count), Sampling(seed=0, longest=steps)
    opening = Opening(start, state)

    def run() -> object:
        return list(
            draw(decoder, range(count), how, opening_of=lambda number: opening, constraint=constraint)
        )

    return run


def command(model: SequenceModel, count: int, dtype: str, options: argparse.Namespace) -> Contender:
    """Return the command, start and files included; many times as many molecules as are drawn at once."""
    folder = TemporaryDirectory()
    model.float().save(Path(folder.name) / "model", card="# random\n\nLicence: Apache-2.0\n")
    model.to(DTYPES[dtype])
    asked = options.count or (6 if options.tiny else 256 if options.quick else 1024)
    output = Path(folder.name) / "drawn.csv"
    words = [
        "generate",
        "-m",
        f"{folder.name}/model",
        "-n",
        str(asked),
        "-o",
        str(output),
        "--overwrite",
        "-q",
    ]
    words += ["--max-length", str(MOLECULE), "--batch-tokens", str(count), "--device", "cpu"]
    words += ["--dtype", "bf16" if dtype == "bfloat16" else "fp32"]
    run_command(words, options.threads)
    with output.open(newline="") as file:
        tokens = sum(int(row["length"]) + (row["ended"] == "true") for row in csv.DictReader(file))

    def run() -> object:
        assert folder
        return run_command(words, options.threads)

    role = "peer" if options.tiny else "backend"
    return Contender(WHOLE, run, role, f"{asked:,} molecules", steps=max(1, round(tokens / count)))


def run_command(words: list[str], threads: int) -> object:
    """Run `bioxlstm` as users do, in a process of its own."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(
            [str(Path(bx.__file__).parent.parent), os.environ.get("PYTHONPATH", "")]
        ),
        "OMP_NUM_THREADS": str(threads),
        "NUMBA_NUM_THREADS": str(threads),
    }
    return subprocess.run([sys.executable, "-c", COMMAND, *words], check=True, env=environment)


def plain_drawing(model: SequenceModel, count: int, steps: int) -> Callable[[], object]:
    """Return steps by the primitives in torch, each followed by a draw; they take as long at every position."""
    tokens = torch.full((count,), start_of(model.tokenizer))
    start = model(tokens[:, None].expand(-1, 2)).state
    assert start is not None

    def run() -> object:
        read, states = tokens, list(start.blocks)
        for _ in range(steps):
            logits, states = plain_step(model, read, states)
            read = chosen(logits)
        return read

    return run


def chosen(logits: Tensor) -> Tensor:
    """Draw a token of every row."""
    return torch.multinomial(logits.float().softmax(1), 1)[:, 0]


class Gpt2(Peer):
    """transformers' GPT-2 of equal size and as many layers and heads, with its key/value cache."""

    name = "transformers GPT-2, key/value cache"
    package = "transformers"
    devices = ("cpu",)

    def __init__(self, parameters: int, vocabulary: int, steps: int) -> None:
        self.parameters, self.vocabulary, self.steps = parameters, vocabulary, steps

    def prepare(self, setting: Setting) -> Callable[[], object]:
        """Draw tokens after as many as the setting has; the loop is a forward pass and a draw, without `generate`."""
        transformers = import_module("transformers")
        heads, blocks = setting.shape.heads, CHEM["blocks"]
        width = heads * round((self.parameters / (12 * blocks)) ** 0.5 / heads)
        config = transformers.GPT2Config(
            vocab_size=self.vocabulary,
            n_embd=width,
            n_layer=blocks,
            n_head=heads,
            n_positions=setting.width,
            bos_token_id=None,
            eos_token_id=None,
        )
        model = transformers.GPT2LMHeadModel(config).eval().to(setting.dtype)
        numbers = sum(parameter.numel() for parameter in model.parameters())
        self.note = f"{numbers / 1e6:.1f} M parameters"
        count, before = setting.shape.batch, setting.shape.time
        given = torch.zeros((1, before), dtype=torch.int64)

        @torch.no_grad()
        def draw_after() -> object:
            cache = None
            if before:
                cache = model(given, use_cache=True).past_key_values
                cache.batch_repeat_interleave(count)
            return cache

        def go_on(cache: Any) -> Any:
            tokens = torch.zeros((count, 1), dtype=torch.int64)
            with torch.no_grad():
                for _ in range(self.steps):
                    out = model(tokens, past_key_values=cache, use_cache=True)
                    cache, tokens = out.past_key_values, chosen(out.logits[:, -1])[:, None]
            return cache

        held = {"cache": draw_after()}

        def run() -> None:
            cache = go_on(held["cache"])
            if before:
                # back to where it began
                cache.crop(-self.steps)
            held["cache"] = cache if before else None

        run()
        return run


def describe(timings: list[Timing], count: int, begin: int, dtype: str) -> list[dict[str, Any]]:
    """Say how many tokens per second every contender draws, and how many times as fast ours are."""
    ours, whole = (next((t for t in timings if t.name == name), None) for name in (OURS, WHOLE))
    rows = []
    for timing in timings:
        row: dict[str, Any] = {
            "sequences": count,
            "from token": begin,
            "dtype": dtype,
            "contender": timing.name,
        }
        row |= {
            "tokens/s": None,
            "draw is faster by": None,
            "command is faster by": None,
            "note": timing.note,
        }
        if timing.samples:
            row["tokens/s"] = count / spread(timing.samples).median
            for key, one in (("draw is faster by", ours), ("command is faster by", whole)):
                found = None if one is None or one.name == timing.name else ratio(timing, one)
                row[key] = None if found is None else f"{found.median:.2f} ({found.low:.2f}-{found.high:.2f})"
        rows.append(row)
    return rows
