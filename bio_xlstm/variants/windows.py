"""Windows of equal length around a variant: the reference's letters, and what they become."""

from typing import NamedTuple

from bio_xlstm.errors import SequenceError


class Windows(NamedTuple):
    """Hold two windows of one length."""

    reference: str
    alternative: str


def cut_windows(contig: str, begin: int, reference: str, alternative: str, width: int) -> Windows:
    """Cut windows of `width` letters around the alleles that begin at `begin` (from 0), of one length always.

    Both have the same letters before the variant, as many as after the longer allele; the shorter allele's window
    reaches further to the right. Near an end of the contig they reach further the other way, and become shorter only
    where the contig ends on both sides. SequenceError where no two windows of one length exist.

    >>> cut_windows("AACCGGTT", 3, "C", "CA", 6)
    Windows(reference='ACCGGT', alternative='ACCAGG')
    """
    before, after = begin, len(contig) - begin - len(reference)
    longer = max(len(reference), len(alternative))
    shorter = min(len(reference), len(alternative))
    if longer > width:
        raise SequenceError(f"an allele of {longer} letters does not fit into a window of {width}")
    if after >= longer - shorter:
        left = _shared(before, after, longer, shorter, width)
        width = min(width, before + shorter + after)
        lefts = (left, left)
    elif before >= longer - shorter:
        right = _shared(after, before, longer, shorter, width)
        width = min(width, before + shorter + after)
        lefts = (width - right - len(reference), width - right - len(alternative))
    else:
        raise SequenceError("the sequence is too short for two windows of one length around this variant")
    changed = contig[:begin] + alternative + contig[begin + len(reference) :]
    one, other = (
        text[begin - left : begin - left + width] for text, left in zip((contig, changed), lefts, strict=True)
    )
    return Windows(one, other)


def _shared(near: int, far: int, longer: int, shorter: int, width: int) -> int:
    """Return how many letters both windows have on one side, of `near` there are; `far` are on the other side."""
    width = min(width, near + shorter + far)
    middle = (width - longer) // 2
    return max(min(middle, near, width - longer), width - shorter - far)
