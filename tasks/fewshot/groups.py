"""Groups of assays, such as the classes of their target proteins."""

from collections.abc import Collection

from bio_xlstm.errors import InputError
from bio_xlstm.records.columns import normal
from bio_xlstm.tasks.assay.columns import listed
from bio_xlstm.tasks.assay.reading import read_cells
from bio_xlstm.tasks.evaluate.prediction_columns import column
from bio_xlstm.tasks.fewshot.column_names import ASSAYS, GROUPS

KEYS = ("chembl_id", *ASSAYS, "id", "name")
UNKNOWN = "not stated"


def read_groups(path: str, wanted: str | None, assays: Collection[str]) -> tuple[dict[str, str], str]:
    """Return the group of every assay, and the column that says so; InputError where no assay has one."""
    source, columns = read_cells(path)
    plain = {normal(name): name for name in columns}
    chosen = (
        column(columns, wanted, source) if wanted else next((plain[k] for k in GROUPS if k in plain), None)
    )
    if chosen is None:
        raise InputError(
            f"{source}: no column of groups found; the columns are {listed(columns)}; name it with --group-column"
        )
    for key in (plain[name] for name in KEYS if name in plain):
        if key == chosen:
            continue
        found = {
            assay.strip(): group.strip() for assay, group in zip(columns[key], columns[chosen], strict=True)
        }
        if any(assay in found for assay in assays):
            return {assay: found.get(assay) or UNKNOWN for assay in assays}, chosen
    raise InputError(f"{source}: no row is about one of the assays, such as {min(assays)}")
