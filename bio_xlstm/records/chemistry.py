"""What RDKit makes of a molecule, and in its own words why it refuses one."""

import logging
import re
import threading
from collections.abc import Callable
from typing import Any

STAMP = re.compile(r"^\[\d\d:\d\d:\d\d\]\s*")
PREFIX = "SMILES Parse Error: "
# the position counts from 1 within the SMILES; the caret drawing beneath it is left out
POSITION = re.compile(r"check for mistakes around position (\d+)")
# characters of a SMILES, or atoms of a molecule, beyond which RDKit is not asked: what it does in recursion ends the
# process somewhere behind; up to there the worst take seconds
LONGEST = 10_000
UNKNOWN_REASON = "RDKit cannot read this molecule and gives no reason"

_lock = threading.Lock()


class Messages(logging.Handler):
    """Keep the messages of RDKit instead of printing them."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Store one message."""
        self.lines.append(record.getMessage())


def parse_reason(smiles: str) -> str | None:
    """Return None when RDKit parses a SMILES, else its reason in one line.

    >>> parse_reason("C1CC")
    'unclosed ring'
    """
    return read_smiles(smiles)[1]


def read_smiles(smiles: str) -> tuple[Any, str | None]:
    """Return (molecule, None) or (None, the reason) without printing."""
    from rdkit.Chem import MolFromSmiles

    if len(smiles) > LONGEST:
        return None, too_large(len(smiles), "characters")
    return read_molecule(lambda: MolFromSmiles(smiles), smiles)


def parsed(smiles: str) -> Any:
    """Return a molecule, or None; RDKit says why on its own log, if that is not blocked."""
    from rdkit.Chem import MolFromSmiles

    return MolFromSmiles(smiles) if len(smiles) <= LONGEST else None


def too_large(count: int, noun: str) -> str:
    """Say why RDKit is not asked about a molecule."""
    return f"{count:,} {noun} are more than a molecule may have here ({LONGEST:,})"


def read_molecule(read: Callable[[], Any], text: str = "") -> tuple[Any, str | None]:
    """Return (molecule, None) or (None, RDKit's reason) without printing; `text` is what RDKit may echo."""
    from rdkit.rdBase import BlockLogs

    # blocking is global to RDKit: without the lock another thread's end of it, or its start, mixes in here
    with _lock, BlockLogs():
        molecule = read()
    if molecule is not None:
        return molecule, None
    # a refusal is rare: only then is the molecule read again with the messages caught
    return None, reason_of(messages(read), text)


def messages(read: Callable[[], Any]) -> list[str]:
    """Run `read` and return what RDKit logs meanwhile."""
    from rdkit.rdBase import LogToCppStreams, LogToPythonLogger

    logger = logging.getLogger("rdkit")
    caught = Messages()
    with _lock:
        handlers, propagate = logger.handlers, logger.propagate
        logger.handlers, logger.propagate = [caught], False
        LogToPythonLogger()
        try:
            read()
        finally:
            LogToCppStreams()
            logger.handlers, logger.propagate = handlers, propagate
    return caught.lines


def reason_of(lines: list[str], text: str) -> str:
    """Condense RDKit's messages to one line: first cause, and the position where one is given."""
    causes = [STAMP.sub("", line).removeprefix(PREFIX).strip() for line in lines]
    position = next((found[1] for cause in causes if (found := POSITION.search(cause))), None)
    cause = next((c for c in causes if c and not POSITION.search(c)), UNKNOWN_REASON)
    for echo in (f" for input: '{text}'", f" while parsing: {text}"):
        cause = cause.removesuffix(echo)
    cause = " ".join(cause.split())
    return f"{cause} at position {position}" if position else cause
