"""The command line as the user typed it, for provenance and for the hint how to go on."""

import shlex
import sys

PROGRAM = "bioxlstm"


def command_line(without: tuple[str, ...] = ()) -> str:
    """Return the running command in a form that can be pasted into a shell."""
    return shlex.join([PROGRAM, *(word for word in sys.argv[1:] if word not in without)])
