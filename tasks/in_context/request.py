"""What a user asks for: predictions from a support, or from the state that one left, as immutable values."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from bio_xlstm.errors import ConfigError
from bio_xlstm.models.directory import DEFAULT_MODELS
from bio_xlstm.tasks.choices import PREDICT_FORMATS
from bio_xlstm.tasks.files.request import FileRequest
from bio_xlstm.tasks.in_context.trust import check_coverage
from bio_xlstm.tasks.parts_folder import parts_folder
from bio_xlstm.tasks.writers.issues import issues_path
from bio_xlstm.tasks.writers.result import beside_record

COVERAGE = 0.9


@dataclass(frozen=True, kw_only=True)
class SupportOptions:
    """Name a table of labelled examples and what in it is meant; None is found out."""

    support: str
    support_column: str | None = None
    target: str | None = None
    relation_column: str | None = None
    task: str | None = None


@dataclass(frozen=True, kw_only=True)
class InContextRequest(FileRequest):
    """Hold the options of one run of predictions from `support`, or from `state`.

    `model` is the learner; None is the bundled one for what the support, or the state, holds.

    Raises ConfigError where an option has a value that it does not take, or options contradict each other.
    """

    command: ClassVar[str] = "predict"
    formats: ClassVar[tuple[str, ...]] = PREDICT_FORMATS

    support: SupportOptions | None = None
    state: str | None = None
    coverage: float = COVERAGE
    points: str | None = None  # file that keeps what sequences are encoded to

    def __post_init__(self) -> None:
        super().__post_init__()
        check_coverage(self.coverage)
        if (self.support is None) == (self.state is None):
            raise ConfigError("give --support labelled.csv or --state assay.state, one of them")
        if self.allow_invalid:
            raise ConfigError(
                "--allow-invalid: prediction from a support needs molecules that RDKit can read"
            )
        if self.kind is not None and self.kind not in DEFAULT_MODELS:
            raise ConfigError(
                f"--kind {self.kind}: prediction from a support reads molecules, proteins or DNA"
            )
        if self.input == "-" and self.support is not None and self.support.support == "-":
            raise ConfigError("the input and --support cannot both be standard input")
        if self.points is not None:
            self._check_points()

    @property
    def per_token(self) -> bool:
        """Tell whether every token keeps its numbers."""
        return False

    def _check_points(self) -> None:
        """Refuse a file of points whose name is another file's."""
        if self.points in ("", "-"):
            raise ConfigError(f"--points {self.points!r} names no file")
        output, points = Path(self.output), Path(str(self.points)).resolve()
        parts = parts_folder(output).resolve()
        taken = {path.resolve() for path in (output, issues_path(output), beside_record(output))}
        # a database has a journal beside it
        if taken & {points, points.with_name(points.name + "-journal")} or parts in (points, *points.parents):
            raise ConfigError(f"--points {self.points} names a file that -o {self.output} writes")

    def settings(self) -> dict[str, str]:
        """Return the options that decide the content of the output, under their names on the command line."""
        return super().settings() | {"--coverage": f"{self.coverage:g}"}
