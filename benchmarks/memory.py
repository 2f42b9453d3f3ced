"""Measure the peak memory of one training step against what holding its intermediates would take.

What is measured: the resident memory of a process of its own, highest during a step (forward, loss, backward, with the
gradients of all parameters but no optimiser) less the level before it; on a GPU, torch's own count. A small step runs
first, so that compiled code and thread pools are not counted.

What it is compared with: every tensor that autograd holds between forward and backward of the same model written in
plain torch operations (`plain.py`), each storage once, parameters left out. It is counted with torch's saved-tensor
hooks at the same number of tokens, on models of one and of two blocks; the difference, what a block holds, is taken as
many times as there are blocks. Results of operations that autograd does not need are not counted.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from plain import plain_loss
from report import keep
from setting import Shape, packed
from timing import progress
from torch import Tensor
from torch.nn import functional as F

import bio_xlstm as bx
from bio_xlstm.models.model import SequenceModel
from bio_xlstm.tasks.process_memory import highest_memory, memory_now


def training_loss(model: SequenceModel, tokens: Tensor) -> Tensor:
    """Return the loss of a training step over N sequences of equal length (N, T), packed."""
    row = tokens.flatten()[None]
    cu_seqlens = packed(Shape(len(tokens), tokens.shape[1], 1, 1), str(tokens.device))
    return F.cross_entropy(model(row, cu_seqlens).logits[0], row[0])


def held_bytes(model: SequenceModel, tokens: Tensor) -> int:
    """Count what autograd holds of the plain form, each storage once and parameters not at all."""
    known = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    held: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            held[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = plain_loss(model, tokens)
    assert loss.isfinite()
    return sum(held.values())


def _step(task: dict[str, Any]) -> dict[str, int]:
    """Run one training step in this process and return its peak."""
    device, shape = task["device"], Shape(task["batch"], task["time"], 1, 1)
    torch.set_num_threads(task["threads"])
    model = bx.build(task["family"], **task["settings"]).to(device).train()
    sizes = Shape(2, min(16, shape.time), 1, 1), shape
    for size in sizes:
        tokens = torch.randint(8, (size.batch, size.time), device=device)
        model.zero_grad(set_to_none=True)
        if device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated() if device == "cuda" else memory_now()
        training_loss(model, tokens).backward()
        peak = torch.cuda.max_memory_allocated() if device == "cuda" else highest_memory()
    return {"before": before, "peak": peak - before}


def _held(task: dict[str, Any]) -> dict[str, int]:
    """Count the plain form of a model from one and two blocks."""
    shape = Shape(task["batch"], task["time"], 1, 1)
    torch.set_num_threads(task["threads"])
    counts = []
    for blocks in (1, 2):
        model = bx.build(task["family"], **{**task["settings"], "blocks": blocks}).to(task["device"]).train()
        tokens = torch.randint(8, (shape.batch, shape.time), device=task["device"])
        counts.append(held_bytes(model, tokens))
    one, two = counts
    return {"held": one + (task["settings"]["blocks"] - 1) * (two - one), "held_block": two - one}


def measure_memory(
    cases: Sequence[tuple[str, dict[str, Any], int, int]],
    device: str,
    threads: int,
    machine: dict[str, Any],
    file: Path | None,
) -> None:
    """Print the table, each number from a process of its own."""
    print(
        "Memory of a training step: " + ", ".join(f"{key} {value}" for key, value in machine.items() if value)
    )
    print(
        "\n| model | tokens | step, peak MB | plain form, held MB | share |\n|---|---|---|---|---|",
        flush=True,
    )
    rows: list[dict[str, Any]] = []
    keep(file, {"title": "Memory", "machine": machine, "rows": rows})
    for family, settings, batch, time in cases:
        task = {"family": family, "settings": settings, "batch": batch, "time": time}
        rows.append(_measure({**task, "device": device, "threads": threads}))
        row = rows[-1]
        numbers = f"- | - | {row['note']}"
        if not row["note"]:
            numbers = f"{row['peak'] / 1e6:,.0f} | {row['held'] / 1e6:,.0f} | {row['peak'] / row['held']:.2f}"
        print(f"| {family} {settings['blocks']} blocks | {batch} x {time:,} | {numbers} |", flush=True)
        keep(file, {"title": "Memory", "machine": machine, "rows": rows})


def _measure(task: dict[str, Any]) -> dict[str, Any]:
    """Ask both questions, each in a process of its own; the note says how one failed."""
    row: dict[str, Any] = {key: task[key] for key in ("family", "batch", "time")}
    row |= {"blocks": task["settings"]["blocks"], "note": ""}
    for question in ("step", "held"):
        progress(f"memory of {row['family']} {row['batch']} x {row['time']:,}: {question}")
        command = [sys.executable, __file__, json.dumps({**task, "question": question})]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            return {**row, "note": f"failed: exit code {done.returncode}"}
        row |= json.loads(done.stdout)
    return row


if __name__ == "__main__":
    work = json.loads(sys.argv[1])
    print(json.dumps(_step(work) if work["question"] == "step" else _held(work)))
