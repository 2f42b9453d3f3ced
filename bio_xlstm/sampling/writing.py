"""Drawn sequences as strings."""

from typing import Any

from bio_xlstm.decoding import Decoder
from bio_xlstm.embedding import encode_listed
from bio_xlstm.errors import ConfigError, ModelError
from bio_xlstm.models.model import SequenceModel
from bio_xlstm.sampling.choice import Sampling
from bio_xlstm.sampling.drawing import draw
from bio_xlstm.sampling.opening import open_sequence
from bio_xlstm.state import ModelState


def write_sequences(
    model: SequenceModel,
    count: int,
    *,
    prompt: str = "",
    state: ModelState | None = None,
    slots: int = 64,
    **sampling: Any,
) -> list[str]:
    """Draw sequences 0 to `count` - 1 and spell them; the law behind `SequenceModel.generate`."""
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise ConfigError(f"count must be a whole number, not {count!r}")
    if state is not None and len(state) != 1:
        raise ModelError(f"the state holds {len(state)} sequences; a context is one")
    how = _sampling(sampling)
    decoder = Decoder(model, max(1, min(slots, count)))
    ids = encode_listed(model, 0, prompt) if prompt else None
    opening = open_sequence(model, ids, state)
    drawn = draw(decoder, range(count), how, opening_of=lambda number: opening)
    found = {sample.number: model.tokenizer.decode(sample.ids) for sample in drawn}
    return [found[number] for number in range(count)]


def _sampling(settings: dict[str, Any]) -> Sampling:
    """Return the settings; ConfigError names one that does not exist."""
    strange = sorted(settings.keys() - Sampling.__dataclass_fields__.keys())
    if strange:
        known = ", ".join(Sampling.__dataclass_fields__)
        raise ConfigError(f"there is no sampling setting {', '.join(strange)}; known: {known}")
    return Sampling(**settings)
