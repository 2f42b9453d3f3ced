"""No file of the user's is ever lost: neither the input nor what lies beside or inside the output."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bio_xlstm.errors import OutputError
from bio_xlstm.tasks.embed.run import embed_file

Make = Callable[..., Any]
FASTA = ">a\nMKT\n>b\n\n"


def run(request_for: Make, name: str, text: str, output: str, **options: Any) -> None:
    """Embed a small protein file."""
    embed_file(request_for("protein", name, text, output, kind="protein", **options))


@pytest.mark.parametrize("name", ["o.csv.issues.csv", "o.csv.provenance.json"])
def test_the_input_may_not_be_a_file_beside_the_output(request_for: Make, name: str) -> None:
    with pytest.raises(OutputError, match="would replace .*, which is the input"):
        run(request_for, name, "id,sequence\na,MKT\n", "o.csv", input_format="csv", overwrite=True)


@pytest.mark.parametrize("name", ["o.csv.issues.csv", "o.csv.provenance.json"])
def test_files_beside_the_output_are_left_alone(request_for: Make, name: str) -> None:
    request = request_for("protein", "a.fa", FASTA, "o.csv", kind="protein")
    beside = Path(request.output).with_name(name)
    beside.write_text("precious")
    with pytest.raises(OutputError, match=f"{name} exists, but no o.csv; move it away or use --overwrite"):
        embed_file(request)
    assert beside.read_text() == "precious"


def test_files_inside_a_folder_of_ours_are_left_alone(request_for: Make) -> None:
    request = request_for("protein", "a.fa", FASTA, "esm", kind="protein", format="esm-pt")
    embed_file(request)
    notes = Path(request.output) / "notes.txt"
    notes.write_text("precious")
    with pytest.raises(OutputError, match="esm holds notes.txt, which embed did not write; move it away"):
        embed_file(
            request_for("protein", "a.fa", FASTA, "esm", kind="protein", format="esm-pt", overwrite=True)
        )
    assert notes.read_text() == "precious"
    notes.unlink()
    embed_file(request_for("protein", "a.fa", FASTA, "esm", kind="protein", format="esm-pt", overwrite=True))


@pytest.mark.skipif(os.name == "nt", reason="there are neither links nor pipes")
def test_links_and_pipes_are_not_replaced(request_for: Make) -> None:
    request = request_for("protein", "a.fa", FASTA, "o.csv", kind="protein", overwrite=True)
    output = Path(request.output)
    output.symlink_to("elsewhere.csv")
    with pytest.raises(OutputError, match="o.csv is a link; name the file it points to"):
        embed_file(request)
    output.unlink()
    os.mkfifo(output)
    with pytest.raises(OutputError, match="o.csv is neither a file nor a folder"):
        embed_file(request)


def test_a_run_without_any_embedding_says_so(request_for: Make) -> None:
    outcome = embed_file(request_for("protein", "a.fa", ">a\nM1@\n>b\n\n", "o.csv", kind="protein"))
    assert outcome.lines[-1].startswith("no row has an embedding: is the file of the kind named above")
