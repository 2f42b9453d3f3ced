"""Lay an original checkpoint beside our model: every parameter must be there, of the right shape, and nothing else."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from bio_xlstm.errors import ConfigError, ModelError
from bio_xlstm.models.blank import without_drawing
from bio_xlstm.models.model import SequenceModel
from bio_xlstm.original.names import Origin, gain
from bio_xlstm.original.original import Original
from bio_xlstm.original.weights import Shape, Weights
from bio_xlstm.original.write import FORMATS

_TIED = "lm_head.weight"
_EMBEDDINGS = ("token_embedding.weight", "embedding.weight")
# a message names so many parameters
_NAMED = 3


class Plan(NamedTuple):
    """Hold our parameters, in the order of our model, and where each comes from."""

    shapes: Mapping[str, Shape]
    origins: Mapping[str, Origin]
    dtypes: frozenset[torch.dtype]
    """Number formats of the original parameters."""


def fit(original: Original) -> Plan:
    """Find every parameter of our model in the checkpoint; ModelError names what is missing, unknown or misshapen."""
    shapes = _wanted(original)
    origins = dict(original.origins(shapes))
    _share_tied(original, origins)
    sources = [source for origin in origins.values() for source in origin.sources]
    _check_present(original, sources)
    for name, origin in origins.items():
        _check_shape(original, origin, shapes[name])
    return Plan(shapes, origins, frozenset(original.weights.dtypes[source] for source in sources))


def stored_dtypes(plan: Plan, dtype: torch.dtype) -> dict[str, torch.dtype]:
    """Return what every parameter is stored in: float32 would round gains that were kept as gain - 1."""
    exact = {torch.float32: torch.float64}
    return {
        name: exact.get(dtype, dtype) if origin.make is gain else dtype
        for name, origin in plan.origins.items()
    }


def translated(original: Original, plan: Plan, dtypes: Mapping[str, torch.dtype]) -> Iterator[Tensor]:
    """Yield our parameters one after the other; ModelError names one that holds anything but finite numbers."""
    _check_tied(original)
    for name, origin in plan.origins.items():
        dtype = dtypes[name]
        sources = [original.weights.read(source).detach() for source in origin.sources]
        for source, weight in zip(origin.sources, sources, strict=True):
            if not bool(torch.isfinite(weight).all()):
                stored = original.weights.stored[source]
                raise ModelError(f"{original.weights.label}: {stored} holds numbers that are not finite")
        # widened before they are changed, so that nothing is rounded twice
        wide = [weight.to(torch.promote_types(weight.dtype, dtype)) for weight in sources]
        yield origin.make(*wide).to(dtype)


def _wanted(original: Original) -> dict[str, Shape]:
    """Return the shapes of our model's parameters without taking memory for them."""
    try:
        with torch.device("meta"), without_drawing():
            model = SequenceModel(original.config, original.tokenizer)
    except (ConfigError, RuntimeError, OverflowError) as error:  # torch cannot count beyond 64 bits
        raise ModelError(f"{original.settings_file}: {str(error).splitlines()[0]}") from None
    return {name: tuple(weight.shape) for name, weight in model.state_dict().items()}


def _share_tied(original: Original, origins: dict[str, Origin]) -> None:
    """Find the embedding under the name of the head where a file stores tied weights once."""
    source, make = origins["embedding.weight"]
    if original.config.tie_weights and source[0] not in original.weights:
        origins["embedding.weight"] = Origin((_TIED,), make)


def _check_present(original: Original, sources: list[str]) -> None:
    """Refuse a checkpoint that lacks a parameter, or holds another one."""
    weights = original.weights
    for source in sources:
        if source not in weights:
            raise ModelError(f"{weights.label} lacks {source}")
        _check_format(weights, source)
    known = {*sources, _TIED} if original.config.tie_weights else set(sources)
    if unknown := sorted(weights.shapes.keys() - known):
        names = ", ".join(weights.stored[name] for name in unknown[:_NAMED])
        more = f" and {len(unknown) - _NAMED:,} more" if len(unknown) > _NAMED else ""
        part = "which is no part" if len(unknown) == 1 else "which are no parts"
        raise ModelError(f"{weights.label} holds {names}{more}, {part} of {original.program}")


def _check_format(weights: Weights, name: str) -> None:
    """Refuse numbers that no model directory can hold."""
    dtype, stored = weights.dtypes[name], weights.stored[name]
    if not dtype.is_floating_point:
        raise ModelError(f"{weights.label}: {stored} holds no floating-point numbers")
    if dtype not in FORMATS:
        *usual, last = (_spelled(known) for known in FORMATS)
        raise ModelError(
            f"{weights.label}: {stored} holds {_spelled(dtype)} numbers, which cannot be converted, "
            f"only {', '.join(usual)} and {last}"
        )


def _spelled(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _check_shape(original: Original, origin: Origin, wanted: Shape) -> None:
    """Refuse parameters that make another shape than ours has."""
    weights, source = original.weights, origin.sources[0]
    blanks = [torch.empty(weights.shapes[source], device="meta") for source in origin.sources]
    try:
        made = tuple(origin.make(*blanks).shape)
    except (ModelError, RuntimeError, ValueError, IndexError) as error:
        raise ModelError(f"{weights.label}: {weights.stored[source]}: {str(error).splitlines()[0]}") from None
    if made != wanted:
        shape = weights.shapes[source]
        makes = "" if made == shape else f", which makes {made}"
        raise ModelError(
            f"{weights.label}: {weights.stored[source]} has shape {shape}{makes} "
            f"where {original.settings_file.name} needs {wanted}"
        )


def _check_tied(original: Original) -> None:
    """Refuse a head that is said to be the embedding and is not."""
    weights = original.weights
    embedding = next((name for name in _EMBEDDINGS if name in weights), None)
    if not original.config.tie_weights or _TIED not in weights or embedding is None:
        return
    if not torch.equal(weights.read(_TIED), weights.read(embedding)):
        raise ModelError(
            f"{original.settings_file} ties the head to the embedding, but {weights.label} holds two different ones"
        )
