"""Directories of in-context learners: configuration, weights and card, as of any other model."""

import json
import os
from pathlib import Path

from bio_xlstm.errors import ConfigError, ModelError
from bio_xlstm.in_context.config import FAMILY, InContextConfig
from bio_xlstm.in_context.model import InContextModel
from bio_xlstm.models.directory import CARD, CONFIG, FORMAT, WEIGHTS, read_card, read_config, resolve

DEFAULT = "chem-icl"


def is_in_context(name_or_path: str | Path) -> bool:
    """Tell whether a model directory holds an in-context learner; ModelError where there is none at all."""
    return read_config(resolve(name_or_path)).get("family") == FAMILY


def load_in_context(name_or_path: str | Path = DEFAULT) -> InContextModel:
    """Load an in-context learner for inference; ModelError names the file that is missing, damaged or another's."""
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    directory = resolve(name_or_path)
    settings = read_config(directory)
    family, name = settings.pop("family", None), settings.pop("name", directory.resolve().name)
    if family != FAMILY:
        raise ModelError(f"{name_or_path} is no in-context learner; the bundled one is {DEFAULT}")
    try:
        model = InContextModel(InContextConfig.from_dict(settings), str(name))
    except ConfigError as error:
        raise ModelError(f"{directory / CONFIG}: {error}") from None
    try:
        weights = load_file(directory / WEIGHTS)
        model.load_state_dict({key: weight.to(torch.float32) for key, weight in weights.items()})
    except (SafetensorError, OSError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise ModelError(f"{directory / WEIGHTS} is missing, damaged or of another model: {reason}") from None
    model.card = read_card(directory)
    return model.eval().requires_grad_(False)


def save_in_context(model: InContextModel, directory: str | Path, card: str = "") -> None:
    """Write a directory; weights are kept in float16, which is exact to one part in two thousand."""
    import torch
    from safetensors.torch import save as to_bytes

    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    weights = {
        key: value.detach().to(torch.float16).contiguous() for key, value in model.state_dict().items()
    }
    (directory / (WEIGHTS + ".part")).write_bytes(to_bytes(weights))
    os.replace(directory / (WEIGHTS + ".part"), directory / WEIGHTS)
    (directory / CARD).write_text(card or model.card or f"# {model.name}\n", encoding="utf-8")
    settings = {"format": FORMAT, "family": FAMILY, "name": model.name, **model.config.to_dict()}
    (directory / CONFIG).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
