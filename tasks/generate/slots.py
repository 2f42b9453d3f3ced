"""How many sequences are drawn at once, and whether memory holds them."""

import sys
from pathlib import Path

import numpy as np

from bio_xlstm.errors import ConfigError
from bio_xlstm.models.model import SequenceModel
from bio_xlstm.sampling.opening import read
from bio_xlstm.tasks.device import device_memory
from bio_xlstm.tasks.generate.request import GenerateRequest
from bio_xlstm.tasks.pretrain.room import main_memory
from bio_xlstm.tasks.progress import size

# sequences drawn at once, as far as their memories fit into so many bytes
SLOTS = {"cpu": 128}
MANY_SLOTS = 1024
STATE_BYTES = 1 << 30
# what a step holds at once: states, for a beam chosen anew, and log-probabilities several times
STATES, BEAM_STATES, SCORES = 2, 4, 6


def choose_slots(request: GenerateRequest, model: SequenceModel, longest: int, unit: int) -> int:
    """Return how many sequences of at most `longest` ids are drawn at once; ConfigError where memory has no room."""
    memory = device_memory(str(model.device))
    state, _ = read(model, np.zeros(1, np.int64))
    states = STATES if request.beam is None else BEAM_STATES
    scores = SCORES * len(model.tokenizer.vocabulary.symbols) * np.float64().nbytes
    # ids stay in the memory of the processor
    written = longest * np.int64().nbytes
    each = states * state.bytes + scores + (written if memory is None else 0)
    _check_length(request, longest, written)
    asked = request.beam or request.batch_tokens
    if asked is not None:
        asked = min(asked, max(request.most_tries, request.beam or 1))
        _check(f"{'--beam' if request.beam else '--batch-tokens'} {asked}", asked, each, _room(memory))
        return asked
    room = (STATE_BYTES if memory is None else memory // 4) // max(state.bytes + written, 1)
    # what is begun beside a unit is thrown away where that one is enough
    return int(max(1, min(SLOTS.get(model.device.type, MANY_SLOTS), room, 2 * unit, request.most_tries)))


def _check_length(request: GenerateRequest, longest: int, each: int) -> None:
    """Refuse sequences of which memory does not hold one."""
    if request.max_length is not None:
        _check(f"--max-length {request.max_length}", longest, each // longest, _room(None))


def _check(option: str, count: int, each: int, room: int) -> None:
    """Refuse an option that takes `count` times so many bytes, where that is known to be too much."""
    if room and count * each > room:
        name = option.split()[0]
        raise ConfigError(
            f"{option} takes about {size(count * each)} of memory, and {size(room)} can be had: "
            f"{name} {max(room // each, 1)} fits"
        )


def _room(memory: int | None) -> int:
    """Return the bytes that can be had; a little is left to the system; 0 where it does not tell."""
    if memory is not None:
        return int(0.8 * memory)
    free = main_memory()[1]
    limited = address_room()
    return int(0.8 * (free if limited is None else min(free or limited, limited)))


def address_room() -> int | None:
    """Return the bytes that a limit of the shell (ulimit -v) leaves to this process; None where there is none."""
    table = Path("/proc/self/statm")
    if sys.platform == "win32" or not table.exists():
        return None
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return None
    return max(limit - int(table.read_text().split()[0]) * resource.getpagesize(), 1)
