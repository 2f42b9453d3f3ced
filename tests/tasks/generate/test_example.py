"""The example's own Python reads its files without a word from RDKit."""

import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[3] / "examples"


def test_the_example_counts_quietly(tmp_path: Path) -> None:
    script = (EXAMPLES / "generation.sh").read_text()
    code = script.split("<<'END'\n")[1].split("\nEND\n")[0]
    actives = EXAMPLES / "actives.smi"
    names = [line.split()[0] for line in actives.read_text().splitlines()[1:]]
    (tmp_path / "made.csv").write_text("\n".join(["sequence", *names, "CCO", "CCF"]))
    words = [sys.executable, "-", str(actives), "made.csv"]
    done = subprocess.run(words, input=code, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout.startswith("made.csv: 12 molecules, 11 with fluorine, ")
