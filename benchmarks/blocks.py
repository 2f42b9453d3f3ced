"""Compare one block and whole models with their lower bounds and with other people's blocks; one table.

    python benchmarks/blocks.py [--device cpu|cuda] [--quick] [--only block|model] [--dtype bfloat16] [--json FILE]
    python benchmarks/blocks.py --memory        peak memory of one training step, in a table of its own

A block is norm, mLSTM layer and residual; a model adds embedding, head and, for training, the loss. Ours read sequences
packed with cu_seqlens. The lower bound counts the projections and the products of the mLSTM, not the 4 x 4 maps, the
gates and the convolution, which are pointwise chains. Peers are compared block by block.
"""

import argparse
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from bounds import block_work, bounds
from memory import measure_memory
from peer_blocks import BLOCK_PEERS
from peers import contenders
from report import Report, describe_machine
from setting import DTYPES, Setting, Shape, packed, runner
from timing import Contender, add_options, make_clock, progress, race, settle
from torch.nn import functional as F

import bio_xlstm as bx
from bio_xlstm.kernels.choice import automatic
from bio_xlstm.kernels.mlstm.dispatch import BACKENDS
from bio_xlstm.layers.state import Reading
from bio_xlstm.models.model import SequenceModel

FAMILIES: dict[str, dict[str, Any]] = {
    "chem": {"dim": 512, "blocks": 9, "heads": 8, "expansion": 2.0, "qkv_block": 4},
    "dna": {"dim": 128, "blocks": 4, "heads": 4, "expansion": 2.0, "qkv_block": 4},
    "protein": {"dim": 1024, "blocks": 16, "heads": 4, "expansion": 2.0, "qkv_block": 4},
}


class Case(NamedTuple):
    """Name a family and a batch."""

    family: str
    batch: int
    time: int


CPU = (Case("chem", 64, 100), Case("chem", 8, 1024), Case("dna", 1, 32_768))
GPU = (Case("chem", 640, 100), Case("chem", 64, 1024), Case("dna", 1, 1_048_576), Case("protein", 1, 65_536))
QUICK = (Case("chem", 8, 100), Case("dna", 1, 4096))
TINY = (Case("dna", 2, 20),)


def make_setting(case: Case, dtype: torch.dtype, device: str, backward: bool) -> Setting:
    """Translate a case into shapes."""
    config = FAMILIES[case.family]
    inner = int(config["dim"] * config["expansion"])
    shape = Shape(case.batch, case.time, config["heads"], inner // config["heads"])
    return Setting(shape, config["dim"], dtype, device, backward)


def build(case: Case, setting: Setting, **changes: Any) -> SequenceModel:
    """Make the family's model."""
    return bx.build(case.family, **{**FAMILIES[case.family], **changes}).to(setting.device, setting.dtype)


def our_block(case: Case, setting: Setting) -> Callable[[], object]:
    """Run one block on packed hidden states (1, B T, D)."""
    block = build(case, setting, blocks=1).blocks[0]
    x = setting.random(1, setting.shape.tokens, setting.width)
    cu_seqlens = packed(setting.shape, setting.device)
    reading = Reading(cu_seqlens, with_state=True)
    return runner(lambda: block(x, reading)[0], [x, *block.parameters()], setting.backward)


def our_model(case: Case, setting: Setting, vocabulary: int) -> Callable[[], object]:
    """Run the model on packed tokens: logits, or loss and gradients."""
    model = build(case, setting).train()
    tokens = torch.randint(vocabulary, (1, setting.shape.tokens), device=setting.device)
    cu_seqlens = packed(setting.shape, setting.device)

    def forward() -> torch.Tensor:
        logits = model(tokens, cu_seqlens).logits[0]  # (T, V)
        return F.cross_entropy(logits, tokens[0]) if setting.backward else logits

    return runner(forward, list(model.parameters()), setting.backward)


def measure(part: str, case: Case, setting: Setting, options: argparse.Namespace, report: Report) -> None:
    """Time one cell of the table."""
    backend = automatic(BACKENDS, setting.device, setting.dtype).backend
    blocks, vocabulary = 1, 0
    if part == "block":
        run, peers = our_block(case, setting), contenders(BLOCK_PEERS, setting)
    else:
        blocks, vocabulary = FAMILIES[case.family]["blocks"], bx.build(case.family).config.vocabulary
        run, peers = our_model(case, setting, vocabulary), []
    clock = make_clock(setting.device, options.clock)
    work = block_work(setting.shape, setting.width, setting.backward, blocks, vocabulary)
    racers = [
        Contender(f"ours, {backend}", run, "ours"),
        *bounds(work, setting.dtype, setting.device, clock),
        *peers,
    ]
    name = f"{case.family} {part} {case.batch} x {case.time:,}"
    cell = {"group": "", "case": name, "pass": setting.direction, "dtype": str(setting.dtype)[6:]}
    progress(" ".join(list(cell.values())[1:]))
    timings = race(racers, options.seconds, clock)
    report.add(cell, setting.shape.tokens, timings)


def cases(options: argparse.Namespace) -> list[tuple[str, Case, Setting]]:
    """List what is measured.

    On the CPU bfloat16 is measured on two blocks, forward only, unless asked for: its products, and most of all those
    of the backward pass, are very slow where the processor has no instructions for them.
    """
    gpu = options.device == "cuda"
    batches: tuple[Case, ...] = TINY if options.tiny else QUICK if options.quick else GPU if gpu else CPU
    batches = tuple(case for case in batches if not options.family or case.family in options.family)
    chosen = []
    for part in options.only or ("block", "model"):
        for case in batches:
            slow = not gpu and case == CPU[1]
            # a model costs what its blocks cost: one batch of each family is enough
            if slow and part == "model":
                continue
            for backward in (False, True):
                dtypes = options.dtype or (["bfloat16"] if gpu else ["float32"])
                if not (options.dtype or gpu or backward or options.quick or slow) and part == "block":
                    dtypes = ["float32", "bfloat16"]
                for dtype in dtypes:
                    chosen.append((part, case, make_setting(case, DTYPES[dtype], options.device, backward)))
    return chosen


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", action="append", choices=("block", "model"), help="[both]")
    parser.add_argument("--family", action="append", choices=FAMILIES, help="may be given again [all]")
    parser.add_argument("--dtype", action="append", choices=DTYPES, help="may be given again")
    parser.add_argument("--memory", action="store_true", help="measure memory instead of time")
    add_options(parser, seconds=6)
    options = parser.parse_args()
    settle(options)
    torch.manual_seed(0)
    machine = describe_machine(options.device, options.clock)
    if options.memory:
        batches = TINY if options.tiny else QUICK[:1] if options.quick else CPU
        measured = [(case.family, FAMILIES[case.family], case.batch, case.time) for case in batches]
        measure_memory(measured, options.device, options.threads, machine, options.json)
        return
    report = Report("Blocks and models", machine, options.json)
    report.open()
    for part, case, setting in cases(options):
        measure(part, case, setting, options, report)


if __name__ == "__main__":
    main()
