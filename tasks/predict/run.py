"""The prediction run, from a request to an outcome."""

from bio_xlstm.tasks.files.outcome import Outcome
from bio_xlstm.tasks.files.run import Say, run_job, silent
from bio_xlstm.tasks.predict.request import PredictRequest
from bio_xlstm.tasks.predict.setup import open_job


def predict_file(request: PredictRequest, say: Say = silent) -> Outcome:
    """Predict for every record of a file with a fine-tuned model; messages go to `say`.

    A run that was killed goes on where it stopped, and its output has the bytes of an undisturbed run. Raises
    InputError, ModelError, ConfigError, OutputError, and SequenceError with on_error="fail".

    Example::

        predict_file(PredictRequest(model="solubility-model", input="new.csv", output="predictions.csv"))
    """
    return run_job(open_job(request, say), say)
