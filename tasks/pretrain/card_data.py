"""What a model card says about the data: what was read, how it was shown, what was held out and how."""

from collections.abc import Mapping
from typing import Any

from bio_xlstm.tasks.pretrain.corpus import unreadable_records
from bio_xlstm.tasks.pretrain.data_settings import DataSettings, Domain

Report = Mapping[str, Mapping[str, Any]]

# what is held out of sequences that stand alone
_ALONE = {
    "hash": "sequences chosen by a hash of the sequence",
    "scaffold": "molecules whose Murcko scaffold was chosen by hash; no molecule with one of these scaffolds was "
    "trained on",
    "families": "proteins chosen by a hash of the sequence",
    "tail": "the contiguous last part of every sequence, or the whole of it",
}
# what is held out of sets, and what it keeps out of training
_SETS = {
    "hash": "sets as a whole, by a hash of their sequences; none of these sequences was trained on in another set, or "
    "alone",
    "scaffold": "sets as a whole, by a hash of their molecules; none of these molecules was trained on, however it is "
    "written, but others with their scaffolds may have been",
    "families": "families as a whole, by a hash of their sequences",
}
_ALIKE = (
    "Every protein that shares two or more different 8-residue words with anything held out was removed from training, "
    "and so were near-duplicates outside of families."
)
_GROUPS = {
    "file": "files",
    "line": "lines",
    "column": "records with the same word in one column",
}


def data_table(data: DataSettings, report: Report) -> str:
    """Tabulate files, sequences of every part, and licences of the domains."""
    uses = {"train": "trained on", "held_out": "held out", "test": "test"}
    if not any(counts.get("test") for counts in report.values()):
        del uses["test"]
    rows = [
        f"| domain | files | shown per epoch | {' | '.join(uses.values())} | licence |",
        "|---|---|---|" + "---|" * (len(uses) + 1),
    ]
    for domain in data.domains:
        counts = report[domain.name]
        names = ", ".join(name.rsplit("/", 1)[-1] for name in domain.files)
        parts = [f"{counts[use]:,} sequences, {counts[f'{use}_tokens']:,} tokens" for use in uses]
        shown = f"{domain.weight:g} times" if counts["train"] else "never"
        rows.append(f"| {domain.name} | {names} | {shown} | {' | '.join(parts)} | {domain.licence} |")
    return "\n".join(rows)


def data_lines(data: DataSettings, objective: str) -> list[str]:
    """Say what became of the records and how sequences were shown, one sentence each."""
    lines = []
    if data.reverse_complement:
        lines.append(
            f"Every window was shown as its reverse complement with probability {data.reverse_complement:g}."
        )
    if data.soft_mask_weight != 1:
        lines.append(f"Lower-case bases counted {data.soft_mask_weight:g} times in the training loss.")
    lines += [_shown_in_sets(domain) for domain in data.domains if domain.sets != "none"]
    lines += [
        f"Molecules of {domain.name} were spelled anew from a random atom with probability {domain.randomize:g}."
        for domain in data.domains
        if domain.randomize
    ]
    if objective == "masked":
        lines.append(f"Of the letters, {data.masked_share:.0%} were to be predicted.")
    if objective == "infill":
        loss = "residues of hidden spans" if data.infill_loss == "filled" else "all residues"
        lines.append(f"Hidden spans: {data.spans}; the loss was over {loss}.")
    return lines


def _shown_in_sets(domain: Domain) -> str:
    """Say how the sets of a domain were read."""
    share = f", {domain.set_share:.0%} of the sequences of an epoch" if domain.set_share < 1 else ""
    return f"Sequences of {domain.name} were read in sets ({_GROUPS[domain.sets]}) in random order{share}."


def held_out_lines(data: DataSettings, report: Report) -> list[str]:
    """Say what was held out, of what kind of domain, and what was removed, one sentence each."""
    lines = []
    out = [name for name, counts in report.items() if counts["held_out"] or counts.get("test")]
    held = [domain for domain in data.domains if domain.name in out]
    by_file = [domain.name for domain in held if domain.region_split]
    chosen = [domain for domain in held if not domain.region_split]
    if not held:
        lines.append("Nothing was held out.")
    if any(domain.sets == "none" for domain in chosen):
        lines.append(f"Held out: {_ALONE[data.split]}.")
    if any(domain.sets != "none" for domain in chosen):
        lines.append(f"Held out: {_SETS[data.split]}.")
    if by_file:
        lines.append(f"Held out of {', '.join(by_file)}: the regions that their BED file names.")
    if data.split == "families":
        lines.append(_ALIKE)
    if data.held_out_limit and held:
        lines.append(
            f"Of what is held out, at most {data.held_out_limit:,} sequences of a domain and part were kept."
        )
    return [*lines, *_removed(data, report)]


def _removed(data: DataSettings, report: Report) -> list[str]:
    """Say what is in no part."""
    sets = any(domain.sets != "none" for domain in data.domains)
    lines = [
        "Exact repeats were removed within every set, and among all sequences outside of sets."
        if sets
        else "Exact repeats were removed."
    ]
    if data.split == "scaffold":
        lines.append("Molecules that RDKit cannot read were left out.")
    reasons = {name: unreadable_records(counts) for name, counts in report.items()}
    return lines + [f"Of {name}: {reason}." for name, reason in reasons.items() if reason]
