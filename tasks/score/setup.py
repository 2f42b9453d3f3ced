"""From a request to a job: input opened, model and context settled, options checked against the model."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TextIO

from bio_xlstm.context import load_context, read_context
from bio_xlstm.errors import ConfigError
from bio_xlstm.records import RecordSource, open_records
from bio_xlstm.scoring import STRIDE, check_score, is_masked
from bio_xlstm.state import ModelState
from bio_xlstm.tasks.choices import KIND_WORDS
from bio_xlstm.tasks.files.job import ROW_BYTES, FileJob
from bio_xlstm.tasks.files.opening import Say, batch_tokens, describe, open_input, preparation_for
from bio_xlstm.tasks.files.places import check_output
from bio_xlstm.tasks.files.prepare import Ready
from bio_xlstm.tasks.files.units import selected
from bio_xlstm.tasks.generate.contexts import ADVICE, Extent, read_contexts
from bio_xlstm.tasks.generate.words import CONTEXT_TOKENS
from bio_xlstm.tasks.journal import file_hash
from bio_xlstm.tasks.provenance import Provenance
from bio_xlstm.tasks.score.assemble import number_names, score_unit
from bio_xlstm.tasks.score.compute import Scorer
from bio_xlstm.tasks.score.formats import choose_format
from bio_xlstm.tasks.score.null import ORDERS, CountedNull, Null, ShuffledNull
from bio_xlstm.tasks.score.numbers import NumberTable
from bio_xlstm.tasks.score.positions import PositionTable
from bio_xlstm.tasks.score.request import ScoreRequest
from bio_xlstm.tasks.score.result import ScoreResult
from bio_xlstm.tasks.writers.part import Part
from bio_xlstm.tasks.writers.text import SEPARATORS

if TYPE_CHECKING:
    from bio_xlstm.models.model import SequenceModel

# bytes of a number in a part and, written out, in a table; of a line of a table with one token each, without the id
_NUMBER_BYTES, _TEXT_BYTES, _LINE_BYTES = 8, 14, 32


@dataclass(frozen=True, kw_only=True)
class ScoreJob(FileJob):
    """Hold everything that is settled before the first record is scored."""

    smaller: ClassVar[str] = "--reduce sequence or --shard"

    request: ScoreRequest
    worker: Scorer
    names: tuple[str, ...]

    def compute(self, ready: Sequence[Ready]) -> Part:
        """Score the rows of one unit."""
        request = self.request
        return score_unit(
            ready, self.worker, self.names, request.per_token, request.on_error, self.source.name
        )

    def result(
        self, provenance: Provenance, facts: Mapping[str, int], read_parts: Callable[[], Iterable[Part]]
    ) -> ScoreResult:
        """Describe finished parts for the writers."""
        symbols, per_token = self.model.tokenizer.vocabulary.symbols, self.request.per_token
        return ScoreResult(self.names, symbols, per_token, provenance, facts, lambda: iter(read_parts()))

    def table(self, stream: TextIO) -> NumberTable | PositionTable:
        """Begin a table on standard output."""
        separator = SEPARATORS[self.form.name]
        if self.request.per_token:
            return PositionTable(stream, self.model.tokenizer.vocabulary.symbols, separator)
        return NumberTable(stream, self.names, separator)

    def sizes(self) -> tuple[int, int]:
        """Estimate the bytes of the output, and of the parts that lie beside it until it is complete."""
        found, text = self.survey, self.form.name in SEPARATORS
        rows = found.records * ROW_BYTES + found.names
        if self.request.per_token:
            parts = rows + found.letters * _NUMBER_BYTES
            name = found.names // max(found.records, 1)
            return rows + found.letters * (_LINE_BYTES + name) if text else parts, parts
        numbers = found.records * len(self.names)
        return rows + numbers * (_TEXT_BYTES if text else _NUMBER_BYTES), rows + numbers * _NUMBER_BYTES

    def planned(self) -> str:
        """Say what the output will hold."""
        if self.request.per_token:
            return f"one number for each of {self.survey.letters:,} tokens"
        return f"{self.survey.records:,} rows of {len(self.names)} numbers"


def open_job(request: ScoreRequest, say: Say) -> ScoreJob:
    """Check a request from end to end, load the model and read the context; raises before any work is done.

    InputError, ModelError, ConfigError and OutputError say what does not fit.
    """
    check_output(request)
    form = choose_format(request.output, request.format, per_token=request.per_token)
    source, name, model = open_input(request, say)
    check_options(request, model)
    state = open_state(request, model, say)
    budget, stride = batch_tokens(request, model), request.stride or STRIDE
    strands = check_score(
        model, direction=request.direction, rc=request.rc, stride=stride, state=state, batch_tokens=budget
    )
    scorer = Scorer(
        model=model,
        batch_tokens=budget,
        direction=request.direction,
        rc=request.rc,
        stride=stride,
        state=state,
        null=_open_null(request, model, source, strands),
    )
    provenance = describe(request, source, model, name, form, budget)
    return ScoreJob(
        request=request,
        source=source,
        worker=scorer,
        preparation=preparation_for(request, model),
        form=form,
        provenance=replace(provenance, options={**provenance.options, **other_files(request)}),
        names=number_names(scorer, strands),
    )


def check_options(request: ScoreRequest, model: "SequenceModel") -> None:
    """Refuse options that have no meaning for a model."""
    kind = KIND_WORDS[model.kind]
    if model.tokenizer.complement is None:
        for option, asked in (
            ("--rc average", request.rc == "average"),
            (f"--direction {request.direction}", request.direction != "forward"),
        ):
            if asked:
                raise ConfigError(
                    f"{option} reads the other strand of DNA; {model.name} reads {kind} from their beginning"
                )
    if request.rc == "average" and request.direction == "reverse":
        raise ConfigError("--rc average reads both strands, --direction reverse only one of them")
    if request.stride is not None and not is_masked(model):
        raise ConfigError(
            f"--stride is for masked models; {model.name} reads every token once, after those before it"
        )
    for option, value in (("--context", request.context), ("--state", request.state)):
        if value is not None and is_masked(model):
            raise ConfigError(
                f"{option} is for causal models; {model.name} is a masked model and reads no context"
            )
    if request.context is not None and model.kind not in CONTEXT_TOKENS:
        raise ConfigError(f"--context holds homologs or molecules; {model.name} reads {kind}")


def open_state(request: ScoreRequest, model: "SequenceModel", say: Say) -> ModelState | None:
    """Return the memory of what is read before every sequence."""
    if request.state is not None:
        return load_context(model, request.state)
    if request.context is None:
        return None
    extent = Extent(request.context_tokens or CONTEXT_TOKENS[model.kind], contexts=1)
    (members,) = read_contexts(request.context, model.tokenizer, extent, request.seed, say, advice=ADVICE)
    state = read_context(model, members, batch_tokens=batch_tokens(request, model))
    say(
        f"context: {len(members):,} {KIND_WORDS[model.kind]} from {Path(request.context).name}, "
        f"{int(state.position[0]):,} tokens"
    )
    return state


def _open_null(
    request: ScoreRequest, model: "SequenceModel", source: RecordSource, strands: Sequence[str]
) -> Null | None:
    """Return the null model; one that counts is the same for all shards of an input."""
    if request.null is None:
        return None
    if request.null == "shuffled":
        return ShuffledNull(request.seed)
    order = 0 if request.null == "unigram" else ORDERS[model.kind]
    null = CountedNull(model.tokenizer, order, strands, stops=not is_masked(model))
    if request.background is None:
        return null.fit(selected(source, request.limit, (1, 1)), source.name)
    background = open_records(request.background).with_kind(model.kind)
    return null.fit(background, background.name)


def other_files(request: ScoreRequest) -> dict[str, str]:
    """Return the other files that are read, with their hashes, under the names of their options."""
    found = {}
    if request.state is not None:
        found["--state"] = f"{Path(request.state).name} ({file_hash(Path(request.state))[:12]})"
    for option, path in (("--context", request.context), ("--background", request.background)):
        if path is not None:
            found[option] = f"{Path(path).name} ({open_records(path).fingerprint()[:12]})"
    if request.context is not None:
        found["--context-tokens"] = str(request.context_tokens)
    return found
