"""Support, library and learner are of one kind, molecules, proteins or DNA; what is not is refused."""

from bio_xlstm.errors import InputError, ModelError
from bio_xlstm.records import RecordSource, open_records
from bio_xlstm.records.detect import sample
from bio_xlstm.tasks.choices import KIND_WORDS
from bio_xlstm.tasks.in_context.learners import kind_of_state
from bio_xlstm.tasks.in_context.request import InContextRequest
from bio_xlstm.tokenizers import TOKENIZERS


def check_state(request: InContextRequest, kind: str) -> None:
    """Refuse a state of another kind than that of the learner asked for."""
    if request.state is None or request.model is None:
        return
    made = kind_of_state(request.state)
    if made != kind:
        raise ModelError(
            f"{request.state} was made of {KIND_WORDS[made]}, but -m {request.model} reads {KIND_WORDS[kind]}; leave "
            "-m out, or name the learner that made it"
        )


def check_library(
    library: RecordSource, kind: str, request: InContextRequest, asked: str | None, support: str | None
) -> None:
    """Refuse queries of another kind than the learner's, which was asked for, or found for the support or state."""
    if library.kind == kind:
        return
    held, wanted = KIND_WORDS[library.kind], KIND_WORDS[kind]
    files = {kind: library}
    if asked is not None:
        other = f"prediction from this support reads {wanted} (-m {asked})"
        mend = f"another -m if the support holds {held} too"
    else:
        other = f"the state {request.state} was made of {wanted}"
        mend = "both must be of one kind, which neither -m nor --kind changes"
    if asked is None and request.support is not None and support is not None:
        other = f"the support {support} holds {wanted}"
        files[library.kind] = open_records(support, column=request.support.support_column)
    either = [f"--kind {one} if both hold {KIND_WORDS[one]}" for one in files if _may_hold(files[one], one)]
    raise InputError(f"{library.name} holds {held}, but {other}; {' or '.join(either) or mend}")


def _may_hold(source: RecordSource, kind: str) -> bool:
    """Tell whether a file can be read as one of another kind than it shows, by its columns and letters."""
    tokenizer = TOKENIZERS[kind]()
    try:
        texts = sample(source.with_kind(kind))
    except InputError:
        return False
    return all(tokenizer.prepare(text).status in ("ok", "cleaned") for text in texts)
