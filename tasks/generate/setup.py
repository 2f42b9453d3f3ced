"""From a request to a job: model chosen, inputs read and checked, everything settled before the first draw."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bio_xlstm.decoding import Decoder
from bio_xlstm.errors import ConfigError, OutputError
from bio_xlstm.models.directory import DEFAULT_CAUSAL_MODELS, default_model, load
from bio_xlstm.models.model import SequenceModel
from bio_xlstm.records import open_records
from bio_xlstm.sampling.choice import Sampling
from bio_xlstm.sampling.constraint import Constraint
from bio_xlstm.sampling.opening import read, start_of
from bio_xlstm.sampling.rows import Sample
from bio_xlstm.sampling.smiles_constraint import SmilesConstraint
from bio_xlstm.tasks.catalogue import licence
from bio_xlstm.tasks.choices import KIND_WORDS
from bio_xlstm.tasks.device import choose_backend, choose_device, choose_dtype, dtype_name
from bio_xlstm.tasks.files.opening import Say
from bio_xlstm.tasks.files.places import check_place
from bio_xlstm.tasks.finished import finished_record
from bio_xlstm.tasks.generate.candidate import Candidate
from bio_xlstm.tasks.generate.given import read_begins, read_redesign, read_states
from bio_xlstm.tasks.generate.judging import TOO_LONG, Judge, MoleculeJudge, SequenceJudge, respelled
from bio_xlstm.tasks.generate.known import known_keys
from bio_xlstm.tasks.generate.molecule import MEASURES, Demands, substructure
from bio_xlstm.tasks.generate.openings import Openings
from bio_xlstm.tasks.generate.repeats import remarks
from bio_xlstm.tasks.generate.request import GenerateRequest
from bio_xlstm.tasks.generate.scaffolds import read_scaffold
from bio_xlstm.tasks.generate.slots import choose_slots
from bio_xlstm.tasks.generate.spans import Redesign, SpanConstraint
from bio_xlstm.tasks.generate.strands import COLUMN, both_strands, reads_strands
from bio_xlstm.tasks.generate.streams import kept
from bio_xlstm.tasks.generate.words import LONGEST, context_budget
from bio_xlstm.tasks.generate.writing import choose_format
from bio_xlstm.tasks.journal import file_hash
from bio_xlstm.tasks.provenance import Provenance
from bio_xlstm.tasks.writers.text import read_record
from bio_xlstm.tokenizers.tokenizer import counted

# tokens of a unit of work
UNIT_TOKENS, UNIT_TRIES, LEAST_TRIES = 1 << 17, 512, 16


@dataclass(frozen=True)
class Job:
    """Hold everything that is settled before the first sequence is drawn."""

    request: GenerateRequest
    model: SequenceModel
    decoder: Decoder
    sampling: Sampling
    openings: Openings
    constraint: Constraint | None
    redesign: Redesign | None
    judge: Judge
    excluded: frozenset[str] | None
    form: str
    provenance: Provenance

    @property
    def unit(self) -> int:
        """Return how many tries are a unit of work."""
        return unit_of(self.request, self.sampling)

    @property
    def properties(self) -> tuple[str, ...]:
        """Return the names of the columns that are measured."""
        if reads_strands(self.model):
            return (COLUMN,)
        return tuple(name for name in MEASURES if name in self.request.windows)

    def candidate(self, sample: Sample) -> Candidate:
        """Say what is known of a sample by itself."""
        if self.redesign is not None:
            drawn = sample
            sample = drawn._replace(ids=self.redesign.fill(self.model.tokenizer, drawn.ids))
            found = self.judge(sample)
            reason = found.reason if drawn.ended else TOO_LONG
            # what is remarkable about the given protein is no fault of the model
            natural = remarks(self.model.tokenizer.decode(self.redesign.ids), self.model.kind)
            notes = tuple(note for note in found.notes if note not in natural)
            return found._replace(tokens=len(drawn.ids) + drawn.ended, notes=notes, reason=reason)
        found = self.judge(self._respelled(sample))
        if self.request.prompt:
            # a base that is not known, or a first one that nothing predicts, has no probability
            found = found._replace(tokens=found.tokens - self.openings(sample.number).uncounted)
        if not reads_strands(self.model):
            return found
        state = self.openings.state(sample.number)
        return found._replace(measured=(round(both_strands(self.model, sample, state), 4),))

    def _respelled(self, sample: Sample) -> Sample:
        """Count the log-probability of the tokens by which a text is read, where a model wrote it with others."""
        ids = respelled(sample, self.model.tokenizer) if self.model.kind == "smiles" else None
        if ids is None:
            return sample
        tokenizer = self.model.tokenizer
        framed = np.array([start_of(tokenizer), *ids.tolist(), tokenizer.stop])
        tokens = framed[:-1] if sample.ended else framed[:-2]
        _, logprob = read(
            self.model, tokens, self.openings.state(sample.number), targets=framed[1 : len(tokens) + 1]
        )
        return sample._replace(ids=ids.astype(np.int64), logprob=logprob)

    def finished(self) -> Mapping[str, Any] | None:
        """Return the record of the output where it is complete; OutputError where it may not be replaced."""
        output, most = Path(self.request.output), self.request.most_tries
        record = finished_record(output, self.provenance, read_record, self.request.overwrite)
        if record is None or not self.request.choosy:
            return record
        if record["tried"] > most:
            raise OutputError(
                f"{output} exists but took {record['tried']:,} tries, and --max-tries is now {most:,}; "
                "use --overwrite to replace it"
            )
        # more tries may find what is missing
        return None if record["rows"] < record["wanted"] and record["tried"] < most else record


def open_job(request: GenerateRequest, say: Say) -> Job:
    """Check a request from end to end and load the model; raises before any work is done.

    InputError, ModelError, ConfigError and OutputError say what does not fit.
    """
    for source in (request.context, request.state, *request.exclude):
        check_place(source or "-", request.output, "generate", request.overwrite)
    with kept(request.context) as context:
        if context is None:
            return _open_job(request, say)
        job = _open_job(replace(request, context=context.path), lambda line: say(context.renamed(line)))
        options = {name: context.renamed(text) for name, text in job.provenance.options.items()}
        return replace(job, request=request, provenance=replace(job.provenance, options=options))


def _open_job(request: GenerateRequest, say: Say) -> Job:
    """Do so for a request whose context can be read several times."""
    model = open_model(request, say)
    form = choose_format(request.output, request.format, model.kind)
    sampling = request.sampling(LONGEST[model.kind])
    redesign = read_redesign(request, model, say)
    if redesign is not None:
        sampling = replace(sampling, longest=_room(request, redesign))
    scaffold = read_scaffold(request.scaffold) if request.scaffold is not None else None
    begins = read_begins(request, model, redesign, scaffold, say)
    openings = Openings(read_states(request, model, say), begins)
    # what does not fit is known before hours of drawing
    first = openings(0)
    if len(first.ids) >= sampling.longest:
        raise ConfigError(
            f"{len(first.ids)} tokens are given, which leaves no room in sequences of at most {sampling.longest} "
            "(--max-length)"
        )
    slots = choose_slots(request, model, sampling.longest, unit_of(request, sampling))
    decoder = Decoder(model, slots, request.backend)
    constraint: Constraint | None = None
    if redesign is not None:
        constraint = SpanConstraint(model.tokenizer, redesign.spans, slots, keep_length=request.keep_length)
    elif request.constrain:
        constraint = SmilesConstraint(model.tokenizer, slots, sampling.longest)
        # what cannot be gone on from is known before a journal begins; a context changes nothing about it
        for begin in begins:
            constraint.begin(0, 0, begin(None).ids)
    return Job(
        request,
        model,
        decoder,
        sampling,
        openings,
        constraint,
        redesign,
        _judge(request, model, scaffold),
        known_keys(request.exclude, model.kind) if request.exclude else None,
        form,
        describe(request, model, form),
    )


def _room(request: GenerateRequest, redesign: Redesign) -> int:
    """Return how many tokens are drawn at most for the spans of a protein: what is given is not drawn."""
    least = redesign.least(keep_length=request.keep_length)
    if request.max_length is not None and request.max_length < least:
        what = f"{redesign.hidden} residues" if request.keep_length else counted(len(redesign.spans), "span")
        raise ConfigError(
            f"--max-length {request.max_length} is too short for {what} made anew: with masks between spans and "
            f"the stop they take at least {least} tokens"
        )
    return request.max_length or redesign.longest


def open_model(request: GenerateRequest, say: Say) -> SequenceModel:
    """Choose the model by what is asked for, load it, and refuse what it cannot do."""
    name = request.model or _default_model(request, say)
    model = load(name, device=choose_device(request.device), dtype=choose_dtype(request.dtype))
    choose_backend(request.backend, model.device, model.dtype)  # refuses what cannot run
    if not model.causal:
        other = DEFAULT_CAUSAL_MODELS.get(model.kind)
        raise ConfigError(
            f"{model.name} {model.config.sight} and fills in what is hidden: it cannot write a sequence "
            f"from its beginning to its end{f'; -m {other} can' if other else ''}"
        )
    molecules = bool(request.windows or request.filter_smarts or request.scaffold or request.constrain)
    if molecules and model.kind != "smiles":
        raise ConfigError(
            "--scaffold, --filter-smarts, --constrain and windows of properties are for molecules; "
            f"{model.name} writes {KIND_WORDS[model.kind]}"
        )
    proteins = "--infill" if request.infill else f"--preset {request.preset}" if request.preset else ""
    if proteins and model.kind != "protein":
        raise ConfigError(f"{proteins} is for proteins; {model.name} writes {KIND_WORDS[model.kind]}")
    if model.tokenizer.start is None and not request.prompt:
        raise ConfigError(
            f"sequences of {model.name} begin with no start token: say with --prompt what they begin with"
        )
    return model.use_backend(request.backend)


def _default_model(request: GenerateRequest, say: Say) -> str:
    """Name the bundled model for what the options say."""
    if request.infill:
        kind = "protein"
    elif request.scaffold is not None or request.windows or request.filter_smarts:
        kind = "smiles"
    elif request.context is not None:
        kind = open_records(request.context).kind
    else:
        choices = ", ".join(
            f"-m {name} for {KIND_WORDS[kind]}" for kind, name in DEFAULT_CAUSAL_MODELS.items()
        )
        raise ConfigError(f"-m is missing, and nothing else says what to make: {choices}")
    name = default_model(kind, causal=True)
    say(f"making {KIND_WORDS[kind]} with the bundled model {name} (-m chooses another)")
    return name


def unit_of(request: GenerateRequest, sampling: Sampling) -> int:
    """Return how many tries are a unit of work: a function of the options alone."""
    return min(max(UNIT_TOKENS // sampling.longest, 1), UNIT_TRIES, max(request.count, LEAST_TRIES))


def _judge(request: GenerateRequest, model: SequenceModel, scaffold: Any) -> Judge:
    """Return what looks at every sample."""
    if model.kind != "smiles":
        return SequenceJudge(model.tokenizer, valid_only=request.valid_only, ends=model.kind == "protein")
    demanding = bool(request.windows or request.filter_smarts or scaffold)
    demands = Demands(
        request.valid_only or demanding,
        {name: request.windows[name] for name in MEASURES if name in request.windows},
        tuple(substructure(smarts, "--filter-smarts") for smarts in request.filter_smarts),
        None if scaffold is None else scaffold[0],
    )
    return MoleculeJudge(model.tokenizer, demands)


def describe(request: GenerateRequest, model: SequenceModel, form: str) -> Provenance:
    """Write down what makes the output what it is."""
    files = {"--context": request.context, "--state": request.state, "--exclude": request.exclude}
    hashes = {name: _hashes(value) for name, value in files.items()}
    # as the defaults may change
    defaults = {
        "--max-length": str(request.sampling(LONGEST[model.kind]).longest),
        "--context-tokens": str(context_budget(request.context_tokens, request.preset, model.kind)),
        "--protein": str(request.protein and _hashes(request.protein)),
        "--format": form,
    }
    return Provenance(
        command="generate",
        command_line=request.command_line,
        model=model.name,
        weight_hash=model.weight_hash(),
        licence=licence(request.model or model.name) or "not stated",
        backend=choose_backend(request.backend, model.device, model.dtype),
        dtype=dtype_name(request.dtype),
        device=model.device.type,
        seed=request.seed,
        input="",
        input_sha256="",
        options=request.settings() | hashes | defaults,
    )


def _hashes(names: str | tuple[str, ...] | None) -> str:
    """Name files with the beginnings of their hashes; other texts stand for themselves."""
    listed = (names,) if isinstance(names, str) else names or ()
    found = [
        f"{Path(name).name} ({file_hash(Path(name))[:12]})" if os.path.isfile(name) else name
        for name in listed
    ]
    return ", ".join(found) or "None"
