"""Model directories: plain files, no pickle, no code; loaded by bundled name, path or hub id."""

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bio_xlstm.errors import ConfigError, ModelError
from bio_xlstm.in_context.config import FAMILY as LEARNER

if TYPE_CHECKING:
    import torch

    from bio_xlstm.models.model import SequenceModel

FORMAT = 1
CONFIG, WEIGHTS, TOKENIZER, CARD = "config.json", "model.safetensors", "tokenizer.json", "README.md"
BUNDLED = Path(__file__).parent.parent / "bundled"

# the bundled model for each kind of sequence: to embed it, and to judge or write it from left to right
DEFAULT_MODELS = {"dna": "dna-small", "protein": "protein-small", "smiles": "chem-small"}
DEFAULT_CAUSAL_MODELS = {**DEFAULT_MODELS, "dna": "dna-causal"}


def bundled_names() -> list[str]:
    """List the language models that come with the library."""
    return sorted(path.parent.name for path in BUNDLED.glob(f"*/{TOKENIZER}"))


def bundled_learners() -> list[str]:
    """List the in-context learners that come with the library: they read sequences through a language model."""
    return sorted({path.parent.name for path in BUNDLED.glob(f"*/{CONFIG}")} - set(bundled_names()))


def default_model(kind: str, *, causal: bool = False) -> str:
    """Name the bundled model that reads a kind of sequence, from left to right if that is needed."""
    return (DEFAULT_CAUSAL_MODELS if causal else DEFAULT_MODELS)[kind]


def resolve(name_or_path: str | Path) -> Path:
    """Find the directory of a bundled name, a path or (with the `hub` extra) a Hugging Face hub id."""
    if not isinstance(name_or_path, str | Path) or not str(name_or_path):
        raise ModelError(f"a model is named by text or by a path, not by {name_or_path!r}")
    name = str(name_or_path)
    bundled = [*bundled_names(), *bundled_learners()]
    if name in bundled:
        return BUNDLED / name
    path = Path(name_or_path)
    if path.is_dir():
        return path
    if re.fullmatch(r"[\w.-]+/[\w.-]+", name) and not path.exists():
        return _from_hub(name)
    raise ModelError(
        f"there is no model {name!r}: give a bundled name ({', '.join(bundled) or 'none installed'}), "
        "a model directory or a hub id (owner/name)"
    )


def load(
    name_or_path: str | Path, device: "str | torch.device" = "cpu", dtype: "torch.dtype | None" = None
) -> "SequenceModel":
    """Load a model for inference by bundled name, model directory or hub id.

    ModelError names the file that is missing, damaged or of another format.

    >>> load("chem-small").kind
    'smiles'
    """
    import torch

    from bio_xlstm.models.blank import without_drawing
    from bio_xlstm.models.build import FAMILIES
    from bio_xlstm.models.model import SequenceModel
    from bio_xlstm.tokenizers import load_tokenizer

    if dtype is not None and not isinstance(dtype, torch.dtype):
        raise ModelError(f"dtype must be a torch dtype such as torch.float32, not {dtype!r}")
    directory = resolve(name_or_path)
    settings = read_config(directory)
    if settings.get("family") == LEARNER:
        raise ModelError(
            f"{name_or_path} is an in-context learner, not a language model; bioxlstm predict --support uses it"
        )
    device = _checked_device(device)
    tokenizer = load_tokenizer(_existing(directory, TOKENIZER))
    name = settings.pop("name", directory.resolve().name)
    try:
        from bio_xlstm.config import ModelConfig

        config = ModelConfig.from_dict(settings)
    except ConfigError as error:
        raise ModelError(f"{directory / CONFIG}: {error}") from None
    if config.family not in FAMILIES or not isinstance(name, str):
        raise ModelError(f"{directory / CONFIG}: no family {config.family!r}; known: {', '.join(FAMILIES)}")
    if config.vocabulary != len(tokenizer.vocabulary):
        raise ModelError(
            f"{directory}: {CONFIG} says {config.vocabulary} tokens, {TOKENIZER} holds {len(tokenizer.vocabulary)}"
        )
    with torch.device("meta"), without_drawing():
        model = SequenceModel(config, tokenizer, name)
    _load_weights(model, _existing(directory, WEIGHTS))
    model.card = read_card(directory)
    # gains of converted norms are stored in more precision than the rest
    return model.to(device=device, dtype=dtype or model.dtype).eval().requires_grad_(False)


def save(model: "SequenceModel", directory: str | Path, card: str = "") -> None:
    """Write a model directory; an existing directory keeps its other files."""
    from safetensors.torch import save as to_bytes

    directory = Path(directory)
    if directory.exists() and not directory.is_dir():
        raise ModelError(f"{directory} is a file; a model is saved as a folder")
    directory.mkdir(parents=True, exist_ok=True)
    settings = {"format": FORMAT, "name": model.name, **model.config.to_dict()}
    weights = {name: weight.detach().cpu().contiguous() for name, weight in model.state_dict().items()}
    # not save_file: it hides what it writes from everybody but its owner
    (directory / (WEIGHTS + ".part")).write_bytes(to_bytes(weights))
    os.replace(directory / (WEIGHTS + ".part"), directory / WEIGHTS)
    model.tokenizer.save(directory / TOKENIZER)
    (directory / CARD).write_text(card or model.card or f"# {model.name}\n", encoding="utf-8")
    (directory / CONFIG).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def read_config(directory: Path) -> dict[str, Any]:
    """Read config.json without its format number; ModelError where it is not ours."""
    path = _existing(directory, CONFIG)
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
        version = settings.pop("format")
    except (ValueError, KeyError, AttributeError, TypeError):
        raise ModelError(f"{path} is not the configuration of a bio_xlstm model") from None
    if version != FORMAT:
        raise ModelError(f"{path} has format {version}; this version of bio_xlstm reads format {FORMAT}")
    return settings


def read_card(directory: Path) -> str:
    """Read the model card of a directory; empty where there is none."""
    path = directory / CARD
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def _checked_device(device: "str | torch.device") -> "torch.device":
    """Refuse a device that this machine or this build of torch does not have."""
    import torch

    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError) as error:
        reason = (str(error).splitlines() or ["no reason given"])[0]
        raise ModelError(f"there is no device {str(device)!r} here: {reason}") from None
    return chosen


def _existing(directory: Path, name: str) -> Path:
    """Return a file of a model directory, or say that it is missing."""
    path = directory / name
    if not path.is_file():
        raise ModelError(f"{directory} is not a complete model directory: {name} is missing")
    return path


def _load_weights(model: "SequenceModel", path: Path) -> None:
    """Fill a model from a safetensors file whose names and shapes must match exactly."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        weights = load_file(path)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} is damaged: {error}") from None
    expected = model.state_dict()
    for problem, names in (
        ("lacks", expected.keys() - weights.keys()),
        ("has unknown", weights.keys() - expected.keys()),
    ):
        if names:
            raise ModelError(
                f"{path} does not fit {CONFIG}: it {problem} {sorted(names)[0]} (of {len(names)})"
            )
    for name, weight in weights.items():
        if not weight.is_floating_point():
            raise ModelError(f"{path}: {name} holds {weight.dtype} instead of floating-point numbers")
        if weight.shape != expected[name].shape:
            wanted, found = tuple(expected[name].shape), tuple(weight.shape)
            raise ModelError(f"{path} does not fit {CONFIG}: {name} has shape {found} instead of {wanted}")
    model.load_state_dict(weights, assign=True)


def _from_hub(name: str) -> Path:
    """Download a model from the Hugging Face hub."""
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise ModelError(
            f"there is no directory {name!r}; to load it from the Hugging Face hub, pip install 'bio-xlstm[hub]'"
        ) from None
    try:
        files = [CONFIG, WEIGHTS, TOKENIZER, CARD]
        return Path(snapshot_download(name, allow_patterns=files))
    except Exception as error:  # the hub client raises many kinds, all of them about the network or the name
        reason = (str(error).splitlines() or ["no reason given"])[0]
        raise ModelError(f"cannot load {name!r} from the Hugging Face hub: {reason}") from None
