"""Measure what the environment of the `bioxlstm` command is worth: a DNA-xLSTM block with and without it.

    python benchmarks/environment.py [--threads 2] [--rounds 3] [--tokens 32768]

Each measurement is a process of its own, as torch reads the variables when it starts; with and without take turns.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median

from bio_xlstm.cli.main import ENVIRONMENT
from bio_xlstm.cli.memory import ALLOCATOR

VARIABLES = {**ENVIRONMENT, **ALLOCATOR}
PASSES = ("forward", "forward+backward")


def measure(threads: int, tokens: int) -> list[float]:
    """Return the seconds of a block's forward pass, and of a training step, as medians."""
    import torch

    import bio_xlstm as bx

    torch.set_num_threads(threads)
    block = bx.build("dna", dim=128, blocks=1, heads=4, seed=0).blocks[0]
    x = torch.randn(1, tokens, 128, requires_grad=True)
    slope = torch.randn(1, tokens, 128)

    def read() -> None:
        with torch.inference_mode():
            block(x)

    def train() -> None:
        block(x)[0].backward(slope)

    return [_time(call) for call in (read, train)]


def _time(call: Callable[[], None], repeats: int = 7) -> float:
    """Return the median seconds of a call, after two that do not count."""
    taken = []
    for _ in range(repeats + 2):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return median(taken[2:])


def ask(options: argparse.Namespace, variables: dict[str, str]) -> list[float]:
    """Measure in a process with some variables set and the others of the environment not."""
    words = ["--threads", str(options.threads), "--tokens", str(options.tokens), "--inside"]
    environment = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    environment |= variables
    done = subprocess.run(
        [sys.executable, __file__, *words], env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    return list(json.loads(done.stdout))


def main() -> None:
    """Take turns, and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=32_768)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        print(json.dumps(measure(options.threads, options.tokens)))
        return
    settings = {
        "nothing set": {},
        **{f"`{name}={value}`": {name: value} for name, value in ENVIRONMENT.items()},
        " ".join(f"`{name}={value}`" for name, value in ALLOCATOR.items()): ALLOCATOR,
        "all": VARIABLES,
    }
    rounds = [[ask(options, chosen) for chosen in settings.values()] for _ in range(options.rounds)]
    print(f"A DNA-xLSTM block, {options.tokens:,} tokens, {options.threads} threads; medians over rounds\n")
    print("| environment | " + " | ".join(f"{name}, ms | times as fast" for name in PASSES) + " |")
    print("|---|" + "---|---|" * len(PASSES))
    for index, name in enumerate(settings):
        cells = []
        for which in range(len(PASSES)):
            taken = median(line[index][which] for line in rounds)
            ratio = median(line[0][which] / line[index][which] for line in rounds)
            cells += [f"{taken * 1e3:.0f}", f"{ratio:.2f}"]
        print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
