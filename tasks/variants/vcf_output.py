"""The VCF as it came, with a value and a status for every alternative in INFO."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bio_xlstm.tasks.provenance import KEY, decode
from bio_xlstm.tasks.variants.result import VariantResult
from bio_xlstm.tasks.variants.vcf_input import VcfSource
from bio_xlstm.tasks.writers.part import Row
from bio_xlstm.tasks.writers.result import Format
from bio_xlstm.tasks.writers.text import text_file
from bio_xlstm.variants.vcf import COLUMNS, MISSING, alleles, vcf_lines

RATIO_KEY, STATUS_KEY = "BIOXLSTM_LLR", "BIOXLSTM_STATUS"
_INFO = COLUMNS.index("INFO")
_RECORD = f"##{KEY}="


def write(result: VariantResult, path: Path) -> None:
    """Write the lines of the input that were computed, in order; what else they say stays as it is."""
    assert isinstance(result.source, VcfSource)
    found = _values(result)
    row, value = 0, next(found, None)
    with text_file(path) as stream:
        for number, line in vcf_lines(result.source.file.path):
            if line.startswith("#CHROM"):
                stream.writelines(_header(result))
            count = len(alleles(number, line))
            if not count:
                stream.write("" if _is_ours(line) else line + "\n")
                continue
            mine = {}
            while value is not None and value[0].row < row + count:
                mine[value[0].row - row] = value[1]
                value = next(found, None)
            if mine:
                missing = (MISSING, MISSING)
                stream.write(_annotated(line, [mine.get(i, missing) for i in range(count)]) + "\n")
            row += count


def _values(result: VariantResult) -> Iterator[tuple[Row, tuple[str, str]]]:
    """Yield what is written about every row."""
    for part in result:
        numbers = part.values[result.names[0]]
        for row, number in zip(part.rows, numbers, strict=True):
            yield row, (MISSING if np.isnan(number) else f"{number:.6g}", row.status)


def _header(result: VariantResult) -> list[str]:
    """Describe the fields, and how they were made."""
    model = result.provenance.model
    return [
        f'##INFO=<ID={RATIO_KEY},Number=A,Type=Float,Description="Log-likelihood ratio of the alternative to the '
        f'reference in nats, {model}">\n',
        f'##INFO=<ID={STATUS_KEY},Number=A,Type=String,Description="ok, or why there is no ratio">\n',
        f"{_RECORD}{result.record()}\n",
    ]


def _is_ours(line: str) -> bool:
    """Tell whether a header line is ours, from an earlier run."""
    return line.startswith((_RECORD, f"##INFO=<ID={RATIO_KEY},", f"##INFO=<ID={STATUS_KEY},"))


def _annotated(line: str, values: list[tuple[str, str]]) -> str:
    """Put values into a line, in place of ours from an earlier run."""
    columns = line.split("\t")
    columns += [MISSING] * (len(COLUMNS) - len(columns))
    kept = [
        entry
        for entry in columns[_INFO].split(";")
        if entry not in (MISSING, "") and entry.split("=")[0] not in (RATIO_KEY, STATUS_KEY)
    ]
    ratios, statuses = (",".join(texts) for texts in zip(*values, strict=True))
    columns[_INFO] = ";".join([*kept, f"{RATIO_KEY}={ratios}", f"{STATUS_KEY}={statuses}"])
    return "\t".join(columns)


def read_record(path: Path) -> dict[str, Any] | None:
    """Read the provenance back from the header."""
    try:
        for _, line in vcf_lines(path):
            if line.startswith(_RECORD):
                return decode(line.removeprefix(_RECORD))
            if not line.startswith("##"):
                return None
    except Exception:  # noqa: BLE001 - whatever it is, it is not ours
        return None
    return None


def load_hint(path: str, result: VariantResult) -> str:
    """Return the command that shows the values."""
    return f"bcftools query -f '%CHROM %POS %REF %ALT %INFO/{RATIO_KEY}\\n' {path}"


FORMAT = Format("vcf", (".vcf", ".vcf.gz"), write, read_record, load_hint)
