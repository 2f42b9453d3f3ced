"""The files that a run writes: none of them may be the input, or somebody else's."""

from pathlib import Path
from typing import Protocol

from bio_xlstm.errors import OutputError
from bio_xlstm.tasks.parts_folder import parts_folder
from bio_xlstm.tasks.writers.esm_pt import foreign_files
from bio_xlstm.tasks.writers.issues import issues_path
from bio_xlstm.tasks.writers.result import beside_record


class Placed(Protocol):
    """Say which files a command reads and writes."""

    @property
    def command(self) -> str:
        """Return the name of the command."""

    @property
    def input(self) -> str:
        """Return the input, - for standard input."""

    @property
    def output(self) -> str:
        """Return the output, - for standard output."""

    @property
    def overwrite(self) -> bool:
        """Tell whether an output that exists may be replaced."""


def check_output(request: Placed) -> None:
    """Refuse an output that cannot be written or whose place is taken, before anything is read."""
    check_place(request.input, request.output, request.command, request.overwrite)


def check_place(source: str, target: str, command: str, overwrite: bool) -> None:
    """Do what `check_output` does, for a command that reads something else than records."""
    if target == "-":
        return
    output = Path(target)
    if not target or not output.name or output.name == "..":
        raise OutputError(f"-o {target!r} names no file; give the output a name")
    if not output.parent.is_dir():
        raise OutputError(f"{output}: there is no folder {output.parent}")
    if output.is_symlink():
        raise OutputError(f"{output} is a link; name the file it points to")
    if output.exists() and not (output.is_file() or output.is_dir()):
        raise OutputError(f"{output} is neither a file nor a folder; give the output another name")
    _refuse_input(source, output)
    _refuse_neighbours(output, command, overwrite)


def _refuse_input(source: str, output: Path) -> None:
    """Keep every file of the output apart from the input."""
    if source == "-" or not Path(source).exists():
        return
    for path in (output, issues_path(output), beside_record(output), parts_folder(output)):
        if path.exists() and path.samefile(source):
            what = "is" if path == output else f"would replace {path.name}, which is"
            raise OutputError(f"{output} {what} the input; give the output another name")


def _refuse_neighbours(output: Path, command: str, overwrite: bool) -> None:
    """Leave files of others beside and inside the output alone."""
    if output.is_dir():
        foreign = foreign_files(output)
        if foreign:
            raise OutputError(
                f"{output} holds {foreign[0]}, which {command} did not write; move it away first"
            )
    if overwrite or output.exists() or parts_folder(output).exists():
        return
    for path in (issues_path(output), beside_record(output)):
        if path.exists():
            raise OutputError(f"{path} exists, but no {output.name}; move it away or use --overwrite")
