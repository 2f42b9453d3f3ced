"""Write a model directory tensor by tensor, so that a model larger than the memory can be converted."""

import contextlib
import json
import os
from collections.abc import Iterable, Mapping
from math import prod
from pathlib import Path

import torch
from torch import Tensor

from bio_xlstm.errors import OutputError
from bio_xlstm.models.directory import CARD, CONFIG, FORMAT, TOKENIZER, WEIGHTS
from bio_xlstm.original.original import Original
from bio_xlstm.original.weights import Shape

# names of number formats in a safetensors header
FORMATS = {torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}
# a header is filled up with blanks, so that the numbers behind it lie aligned
_ALIGNED = 8


def check_target(target: Path, source: Path, overwrite: bool) -> None:
    """Refuse a place that holds something else; OutputError says what."""
    if target.exists() and not target.is_dir():
        raise OutputError(f"{target} is a file; a model is written as a folder")
    if target.resolve() == (source if source.is_dir() else source.parent).resolve():
        raise OutputError(f"{target} is the folder of the original; write the model to another one")
    taken = [name for name in (CONFIG, WEIGHTS, TOKENIZER, CARD) if (target / name).exists()]
    if taken and not overwrite:
        raise OutputError(f"{target} holds a {taken[0]} already; --overwrite replaces the model in it")


def write_model(
    original: Original,
    tensors: Iterable[Tensor],
    shapes: Mapping[str, Shape],
    dtypes: Mapping[str, torch.dtype],
    target: Path,
    name: str,
    card: str,
) -> None:
    """Write the files of a model directory; where that fails, what was there before is left, and nothing new.

    The weights appear when they are complete, config.json comes last.
    """
    made = _missing_folders(target)
    try:
        target.mkdir(parents=True, exist_ok=True)
        part = target / (WEIGHTS + ".part")
        try:
            _write_weights(part, tensors, shapes, dtypes)
            # a directory without config.json is no model: nobody sees new weights with old settings
            (target / CONFIG).unlink(missing_ok=True)
            os.replace(part, target / WEIGHTS)
        finally:
            part.unlink(missing_ok=True)
        original.tokenizer.save(target / TOKENIZER)
        (target / CARD).write_text(card, encoding="utf-8")
        settings = {"format": FORMAT, "name": name, **original.config.to_dict()}
        (target / CONFIG).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    except BaseException as error:
        _take_back(target, made)
        if isinstance(error, OSError):
            raise OutputError(f"{target} cannot be written: {error.strerror or error}") from None
        raise


def _missing_folders(target: Path) -> list[Path]:
    """Return the folders that are to be made for a target, the innermost first."""
    return [path for path in (target, *target.parents) if not path.exists()]


def _take_back(target: Path, made: list[Path]) -> None:
    """Remove what was written into new folders, and the folders."""
    files = [target / name for name in (WEIGHTS, TOKENIZER, CARD, CONFIG)] if target in made else []
    # a folder may be missing, or another program may have put something into it
    with contextlib.suppress(OSError):
        for file in files:
            file.unlink(missing_ok=True)
        for folder in made:
            folder.rmdir()


def _write_weights(
    path: Path, tensors: Iterable[Tensor], shapes: Mapping[str, Shape], dtypes: Mapping[str, torch.dtype]
) -> None:
    """Write a safetensors file; the tensors come in the order of `shapes`."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, shape in shapes.items():
        start, end = end, end + prod(shape) * dtypes[name].itemsize
        header[name] = {"dtype": FORMATS[dtypes[name]], "shape": shape, "data_offsets": (start, end)}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % _ALIGNED)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for tensor in tensors:
            file.write(tensor.contiguous().flatten().view(torch.uint8).numpy().data)
