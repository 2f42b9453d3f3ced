"""What every output says about its making; nothing in it changes when a run is resumed."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from bio_xlstm import __version__

FORMAT_VERSION = 1
KEY = "bio_xlstm"  # the name under which files that have named metadata carry the record


@dataclass(frozen=True)
class Provenance:
    """Hold the record of one run: no clock, no host name, so that a resumed run writes the same bytes."""

    command: str
    command_line: str
    model: str
    weight_hash: str
    licence: str
    backend: str
    dtype: str
    device: str
    seed: int
    input: str
    input_sha256: str
    options: Mapping[str, str] = field(default_factory=dict)
    code_version: str = __version__
    format_version: int = FORMAT_VERSION

    def settings(self) -> dict[str, str]:
        """Return what decides the content of the output, under the names by which a user knows it."""
        return {
            "the command": self.command,
            "the input": self.input_sha256,
            "the model": f"{self.model} ({self.weight_hash[:12]})",
            "--backend": self.backend,
            "--dtype": self.dtype,
            "--device": self.device,
            "--seed": str(self.seed),
            **self.options,
            "the version of bio_xlstm": self.code_version,
            "the version of the file format": str(self.format_version),
        }

    def to_json(self, **counts: int) -> str:
        """Return the record as one line of JSON; `counts` (rows, failed rows, ...) are stored beside it."""
        record = asdict(self) | {"settings": self.settings()} | counts
        return json.dumps(record, ensure_ascii=True, sort_keys=True)

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Provenance":
        """Build the value from a decoded record; what the record holds beyond it is left out."""
        return cls(**{name: record[name] for name in cls.__dataclass_fields__})

    def differences(self, record: Mapping[str, Any]) -> list[str]:
        """Name, in the user's words, every setting in which this run differs from a recorded one."""
        before, now = record["settings"], self.settings()
        found = []
        for name in dict.fromkeys([*before, *now]):
            old, new = before.get(name, "not set"), now.get(name, "not set")
            if old == new:
                continue
            if name != "the input":
                found.append(f"{name} was {old} and is now {new}")
            elif record.get("input", self.input) != self.input:
                found.append(f"the input was {record['input']} and is now {self.input}")
            else:
                found.append(f"the input {self.input} changed")
        return found


def decode(text: str | bytes) -> dict[str, Any] | None:
    """Read a record back from a file's metadata; None when the text is not one."""
    try:
        record = json.loads(text)
    except ValueError:
        return None
    return record if isinstance(record, dict) and "settings" in record else None
