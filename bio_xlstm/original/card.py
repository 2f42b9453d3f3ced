"""What is said about a converted model: its origin, and where it computes what a correct model would not."""

import hashlib
from pathlib import Path

from bio_xlstm import __version__
from bio_xlstm.config import ModelConfig
from bio_xlstm.original.original import Original

# compatibility switch -> (value, what the model does then)
_SWITCHES: dict[str, tuple[object, str]] = {
    "double_residual": (
        True,
        "blocks add the whole results of both directions, so that the residual stream doubles",
    ),
    "flip_strand_heads": (
        True,
        "the heads of the second strand are normalised in reverse order: not equivariant",
    ),
    "conv_causal": (False, "the convolution of mLSTM blocks also sees later tokens"),
    "slstm_conv_causal": (False, "the convolution of sLSTM blocks also sees later tokens"),
    "direction": ("two_sided", "mLSTM blocks read both sides under one normaliser"),
    "rotary": ("inner_absolute", "queries and keys turn with the place in the whole context"),
}
_CHUNK = 1 << 20


def switches(config: ModelConfig) -> tuple[str, ...]:
    """Name the compatibility switches that are on, one line each."""
    found = []
    for field, (value, meaning) in _SWITCHES.items():
        if getattr(config, field) == value:
            found.append(f"{field} = {str(value).lower() if isinstance(value, bool) else value}: {meaning}")
    return tuple(found)


def card_of(original: Original, name: str) -> str:
    """Write the model card."""
    files = (*original.weights.files, original.settings_file)
    rows = "\n".join(f"| {path.name} | {sha256(path)} |" for path in files)
    lines = [
        f"# {name}",
        f"A checkpoint of {original.program} ({original.repository}), converted by bio_xlstm {__version__}.",
        f"**Licence:** not stated for these weights; the program that made them ({original.repository}) is Apache-2.0",
        f"## Made from\n\n| file | sha256 |\n|---|---|\n{rows}",
    ]
    if found := switches(original.config):
        lines.append(
            "## Compatibility switches\n\nThe model computes what the original program computes:\n\n"
            + _list(found)
        )
    if original.notes:
        lines.append("## Notes\n\n" + _list(original.notes))
    return "\n\n".join(lines) + "\n"


def _list(lines: tuple[str, ...]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def sha256(path: Path) -> str:
    """Return the hash of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
