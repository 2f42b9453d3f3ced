"""The score run, from a request to an outcome."""

from bio_xlstm.tasks.files.outcome import Outcome
from bio_xlstm.tasks.files.run import Say, run_job, silent
from bio_xlstm.tasks.score.request import ScoreRequest
from bio_xlstm.tasks.score.setup import open_job


def score_file(request: ScoreRequest, say: Say = silent) -> Outcome:
    """Score every record of a file into another file, or to standard output; messages go to `say`.

    A run that was killed goes on where it stopped, and its output has the bytes of an undisturbed run. Raises
    InputError, ModelError, ConfigError, OutputError, and SequenceError with on_error="fail".

    Example::

        score_file(ScoreRequest(input="molecules.smi", output="scores.csv"))
    """
    return run_job(open_job(request, say), say)
