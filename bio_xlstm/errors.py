"""Errors that a user can cause; the message is one line in the user's words."""


class BioXlstmError(Exception):
    """Base of every error that `cli/main.py` prints as one line."""


class InputError(BioXlstmError):
    """An input file cannot be read: names the file and, where known, the line."""


class SequenceError(BioXlstmError):
    """A sequence holds a symbol that its alphabet does not know."""


class ConfigError(BioXlstmError):
    """A configuration or an option has a wrong value."""


class ModelError(BioXlstmError):
    """A model directory, name or state file is missing, damaged or of another model."""


class OutputError(BioXlstmError):
    """An output cannot be written, or belongs to another run."""
