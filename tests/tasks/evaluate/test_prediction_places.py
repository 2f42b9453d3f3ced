"""The output of an evaluation of predictions is checked before anything is read."""

from pathlib import Path

import pytest

from bio_xlstm.errors import OutputError
from bio_xlstm.tasks.evaluate.prediction_request import PredictionRequest
from bio_xlstm.tasks.evaluate.predictions import evaluate_predictions


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("no/x/y.json", "no/x/y.json: there is no folder no/x"),
        ("p.csv", "p.csv is the input; give the output another name"),
    ],
)
def test_an_output_is_checked_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("p.csv").write_text("nothing that could be read")
    with pytest.raises(OutputError, match=words):
        evaluate_predictions(
            PredictionRequest(predictions="p.csv", output=output, goal="regression", overwrite=True)
        )
