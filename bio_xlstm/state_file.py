"""Files that hold a state: tensors by name, and what they belong to; no pickle."""

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor

from bio_xlstm.errors import ModelError

MODEL_STATE, ASSAY_STATE = "bio_xlstm model state 1", "bio_xlstm assay state 1"
# what is said of a file of one form where the other is wanted
_INSTEAD = {
    MODEL_STATE: "is the state of a context: bioxlstm generate and score read it with --state; "
    "bioxlstm state build --support labelled.csv makes one of labelled examples",
    ASSAY_STATE: "is the state of labelled examples: bioxlstm predict --state reads it",
}


def write_state_file(
    path: str | Path, form: str, tensors: dict[str, Tensor], metadata: dict[str, str]
) -> None:
    """Write tensors and metadata as a file of some form."""
    plain = {name: tensor.detach().contiguous().cpu() for name, tensor in tensors.items()}
    Path(path).write_bytes(to_bytes(plain, {"format": form, **metadata}))


def read_state_file(
    path: str | Path, form: str, device: str | torch.device = "cpu"
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read what `write_state_file` wrote; ModelError says what is wrong with a damaged file or one of another form."""
    try:
        with safe_open(str(path), framework="pt", device=str(device)) as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != form:
                words = _INSTEAD.get(metadata.get("format", ""), "is not a state of this version")
                raise ModelError(f"{path} {words}")
            # copies begin where fresh tensors do, and are computed with as those are, to the last bit
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 - not a dict
    except SafetensorError as error:
        raise ModelError(f"{path} is no state file, or a damaged one ({error})") from None
    except OSError as error:
        raise ModelError(f"cannot read the state {path}: {error}") from None
    return tensors, metadata
