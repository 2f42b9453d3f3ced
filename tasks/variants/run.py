"""The variants run, from a request to an outcome."""

from bio_xlstm.tasks.files.outcome import Outcome
from bio_xlstm.tasks.files.run import Say, run_job, silent
from bio_xlstm.tasks.variants.request import VariantRequest
from bio_xlstm.tasks.variants.setup import open_job


def variants_file(request: VariantRequest, say: Say = silent) -> Outcome:
    """Compare every variant of a file with its wild type, into another file or to standard output.

    A run that was killed goes on where it stopped, and its output has the bytes of an undisturbed run. Raises
    InputError, ModelError, ConfigError, OutputError, and SequenceError with on_error="fail".

    Example::

        variants_file(VariantRequest(input="assay.csv", output="ratios.csv"))
    """
    return run_job(open_job(request, say), say)
