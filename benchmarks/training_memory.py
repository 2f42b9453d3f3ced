"""Hold the memory that `bioxlstm pretrain` predicts against what training steps take.

    python benchmarks/training_memory.py [--device cuda] [--threads 1] [--case NAME]

What is measured: weights, gradients, moments and activations of two steps in a process of its own. On a CPU that is the
highest resident memory less the level before the model is made, after a step of a smaller model has compiled and loaded
what there is to load, with the C library set as the command sets it; on a GPU, torch's own count.
"""

import argparse
import gc
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from bio_xlstm.cli.memory import keep_freed_memory
from bio_xlstm.tasks.pretrain.settings import read_recipe
from bio_xlstm.tasks.process_memory import highest_memory, memory_now


class Case(NamedTuple):
    """Describe a model and what it reads."""

    model: dict[str, Any]
    tokens: int
    length: int


_BODY = {"dim": 256, "blocks": 6, "heads": 4}
_PROTEIN, _DNA = {"family": "protein", **_BODY}, {"family": "dna", "objective": "masked", **_BODY}
_CHEM = read_recipe(Path(__file__).parent.parent / "recipes" / "chem-small.toml").model
CASES = {
    "mLSTM": Case(_PROTEIN, 4096, 512),
    "mLSTM, long": Case(_PROTEIN, 8192, 2048),
    "chem-small, 64-token molecules": Case(_CHEM, 8192, 64),
    "mLSTM, rotary heads": Case({**_PROTEIN, "rotary": "head"}, 4096, 512),
    "mLSTM, rotary before the gates": Case({**_PROTEIN, "rotary": "inner"}, 4096, 512),
    "sLSTM": Case({**_PROTEIN, "slstm_at": [0, 1, 2, 3, 4, 5]}, 4096, 512),
    "mLSTM and sLSTM": Case({**_PROTEIN, "slstm_at": [1, 3]}, 4096, 512),
    "post-up mLSTM": Case({**_PROTEIN, "block": "post_up"}, 4096, 512),
    "both ways, shared": Case({**_DNA, "direction": "shared"}, 4096, 1024),
    "both strands": Case({**_DNA, "reverse_complement": "equivariant"}, 4096, 1024),
}


def measure(case: Case, device: str, again: bool, threads: int) -> dict[str, float]:
    """Return the predicted and the measured bytes of a case in this process."""
    import torch

    from bio_xlstm.tasks.pretrain.activations import Reading, activation_bytes
    from bio_xlstm.tasks.pretrain.training_settings import TrainingSettings

    torch.set_num_threads(threads)
    small = {**case.model, "blocks": 1}
    if "slstm_at" in small:
        small["slstm_at"] = [0]
    _train(small, device, again, 64, 32)
    gc.collect()
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated() if device == "cuda" else memory_now()
    model = _train(case.model, device, again, case.tokens, case.length)
    peak = torch.cuda.max_memory_allocated() if device == "cuda" else highest_memory()
    settings = TrainingSettings(steps=1, checkpoint_blocks=again)
    reading = Reading(case.length, case.length, on_cpu=device == "cpu")
    predicted = 16 * model.parameter_count + activation_bytes(model.config, settings, reading) * case.tokens
    return {"measured": peak - before, "predicted": predicted}


def _train(settings: dict[str, Any], device: str, again: bool, tokens: int, length: int) -> Any:
    """Take two steps with sequences of equal length; return the model."""
    import torch

    import bio_xlstm as bx
    from bio_xlstm.tasks.pretrain.language_modeling import loss_share
    from bio_xlstm.tasks.pretrain.optimizer import clip_gradients, make_optimizer, undecayed_names
    from bio_xlstm.tasks.pretrain.tensor_batch import TensorBatch
    from bio_xlstm.tasks.pretrain.training_settings import TrainingSettings

    model = bx.build(**settings, seed=0).to(device).train()
    model.checkpointing = again
    optimizer = make_optimizer(model.named_parameters(), undecayed_names(model), TrainingSettings(steps=1))
    row = torch.randint(7, 11, (1, tokens), device=device)
    bounds = torch.arange(0, tokens + 1, length, dtype=torch.int32, device=device)
    batch = TensorBatch(row, row, bounds, None, torch.ones(1, tokens, device=device), float(tokens))
    for _ in range(2):
        loss_share(model, batch).backward()
        clip_gradients(model, 1.0)
        optimizer.step()
        optimizer.zero_grad()
    return model


def main() -> None:
    """Print the table, each row from processes of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--case", choices=list(CASES), help="only this one")
    parser.add_argument("--inside", choices=("kept", "again"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        keep_freed_memory()
        found = measure(CASES[options.case], options.device, options.inside == "again", options.threads)
        print(json.dumps(found))
        return
    print("| model | tokens | blocks | measured MB | predicted MB | predicted / measured |")
    print("|---|---|---|---|---|---|")
    for name in [options.case] if options.case else CASES:
        for inside in ("kept", "again"):
            words = ["--case", name, "--inside", inside, "--device", options.device]
            command = [sys.executable, __file__, *words, "--threads", str(options.threads)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            found = json.loads(done.stdout.splitlines()[-1])
            ratio = found["predicted"] / found["measured"]
            numbers = f"{found['measured'] / 1e6:.0f} | {found['predicted'] / 1e6:.0f} | {ratio:.2f}"
            row = f"| {name} | {CASES[name].tokens:,} | {'kept' if inside == 'kept' else 'computed again'} |"
            print(f"{row} {numbers} |", flush=True)


if __name__ == "__main__":
    main()
