"""What a run writes down while it trains: a CSV table, TensorBoard's files where asked for, the picture."""

from collections.abc import Mapping, Sequence
from typing import Any

from bio_xlstm.errors import ConfigError
from bio_xlstm.tasks.pretrain.curves import PERPLEXITY, draw_curves
from bio_xlstm.tasks.pretrain.log_table import LogTable
from bio_xlstm.tasks.pretrain.run_folder import RunFolder

NATS = "nats_"
TRAINING = ("loss", "perplexity", "learning_rate", "gradient_norm", "tokens_per_second")


class RunLog:
    """Write the same numbers to every form of the log; only the first process of a run has one that writes."""

    def __init__(
        self, folder: RunFolder, title: str, domains: Sequence[str], *, tensorboard: bool, writes: bool = True
    ) -> None:
        held_out = [prefix + name for prefix in (NATS, PERPLEXITY) for name in domains]
        self.table = LogTable(folder.log / "metrics.csv", [*TRAINING, *held_out])
        self._folder, self._title, self._writes = folder, title, writes
        self._open_board = board_writer() if tensorboard and writes else None
        self._board: Any = None

    def begin(self, step: int) -> None:
        """Open the log; what was written after the step that the run goes on from is taken back."""
        if not self._writes:
            return
        self.table.begin(step)
        if self._open_board:
            self._board = self._open_board(log_dir=str(self._folder.log), purge_step=step + 1)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Write down what is known about a step."""
        if not self._writes:
            return
        self.table.add(step, values)
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(_tag(name), value, step)
            self._board.flush()

    def draw(self) -> None:
        """Draw the curves anew."""
        if self._writes:
            draw_curves(self.table.path, self._folder.curves, self._title)

    def close(self) -> None:
        """Close TensorBoard's file."""
        if self._board is not None:
            self._board.close()


def _tag(name: str) -> str:
    """Group the curves as TensorBoard's panels."""
    for prefix in (NATS, PERPLEXITY):
        if name.startswith(prefix):
            return f"held_out/{prefix.rstrip('_')}/{name.removeprefix(prefix)}"
    return f"training/{name}"


def board_writer() -> Any:
    """Return TensorBoard's writer; ConfigError where it is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise ConfigError(
            "[training] tensorboard = true needs the tensorboard package (pip install 'bio-xlstm[tensorboard]')"
        ) from None
    return SummaryWriter
