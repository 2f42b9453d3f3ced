"""The embed run, from a request to an outcome."""

from bio_xlstm.tasks.embed.request import EmbedRequest
from bio_xlstm.tasks.embed.setup import open_job
from bio_xlstm.tasks.files.outcome import Outcome
from bio_xlstm.tasks.files.run import Say, run_job, silent


def embed_file(request: EmbedRequest, say: Say = silent) -> Outcome:
    """Embed every record of a file into another file, or to standard output; messages go to `say`.

    A run that was killed goes on where it stopped, and its output has the bytes of an undisturbed run. Raises
    InputError, ModelError, ConfigError, OutputError, and SequenceError with on_error="fail".

    Example::

        embed_file(EmbedRequest(input="proteins.fasta", output="proteins.parquet"))
    """
    return run_job(open_job(request, say), say)
