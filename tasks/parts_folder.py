"""OUTPUT.parts, the folder of an unfinished output: which files in it are ours, and how they go away."""

import re
import shutil
from pathlib import Path

from bio_xlstm.errors import OutputError
from bio_xlstm.tasks.lock import OutputLock
from bio_xlstm.tasks.writing import writing

JOURNAL = "journal.jsonl"
LOCK = "lock"
# before its journal stands, a run has written nothing else
_OWN_EARLY = re.compile(rf"{LOCK}|{re.escape(JOURNAL)}\.tmp")
_OWN = re.compile(rf"{LOCK}|{re.escape(JOURNAL)}(\.tmp)?|part-\d{{6,}}(\.tmp)?|final(\..*)?", re.DOTALL)


def parts_folder(output: Path) -> Path:
    """Return the folder in which the parts of an unfinished output lie."""
    return output.with_name(output.name + ".parts")


def refuse_foreign(folder: Path) -> None:
    """Raise OutputError when a parts folder holds anything that no run has written."""
    _, foreign = _sorted_out(folder)
    if foreign:
        raise OutputError(
            f"{folder} is where the parts of this output go, but it holds {foreign[0].name}, which is none; "
            "move that folder away or give the output another name"
        )


def clear(folder: Path) -> None:
    """Remove our own files from a parts folder, the lock excepted; others stay."""
    own, _ = _sorted_out(folder)
    # the journal goes last: parts without a journal would look like somebody else's
    for path in sorted(own, key=lambda path: path.name == JOURNAL):
        if path.name != LOCK:
            remove(path)


def drop(folder: Path) -> None:
    """Remove our own files and the lock; the folder goes too unless other files are in it."""
    clear(folder)
    (folder / LOCK).unlink(missing_ok=True)
    if not any(folder.iterdir()):
        folder.rmdir()


def discard_parts(output: Path) -> None:
    """Remove what an earlier run left beside a complete output; OutputError when another run is at work there."""
    folder = parts_folder(output)
    if folder.is_dir():
        with writing(output), OutputLock(folder / LOCK, output):
            drop(folder)


def remove(path: Path) -> None:
    """Remove a file or a folder if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _sorted_out(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return the files in a parts folder that are ours, and those that are not."""
    paths = sorted(folder.iterdir())
    pattern = _OWN if any(path.name == JOURNAL for path in paths) else _OWN_EARLY
    own = [path for path in paths if pattern.fullmatch(path.name)]
    return own, [path for path in paths if path not in set(own)]
