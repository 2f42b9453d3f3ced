"""How samples begin: contexts and states, then prompts, scaffolds or proteins with hidden spans."""

from collections.abc import Callable, Sequence

from bio_xlstm.sampling.opening import Opening
from bio_xlstm.state import ModelState

Begin = Callable[[ModelState | None], Opening]


class Openings:
    """Give every sample its opening by its number: contexts take turns, and for each of them the beginnings do.

    What a state or a beginning costs is paid when a sample first needs it.
    """

    def __init__(self, states: Sequence[Callable[[], ModelState | None]], begins: Sequence[Begin]) -> None:
        self._states, self._begins = states, begins
        self._read: dict[int, ModelState | None] = {}
        self._opened: dict[tuple[int, int], Opening] = {}

    def __call__(self, number: int) -> Opening:
        """Return the opening of a sample."""
        turn, context = divmod(number, len(self._states))
        key = context, turn % len(self._begins)
        if key not in self._opened:
            self._opened[key] = self._begins[key[1]](self.state(number))
        return self._opened[key]

    @property
    def contexts(self) -> int:
        """Return the number of contexts."""
        return len(self._states)

    def state(self, number: int) -> ModelState | None:
        """Return the memory of the context of a sample."""
        context = number % len(self._states)
        if context not in self._read:
            self._read[context] = self._states[context]()
        return self._read[context]
