"""Wild types: one for all rows, or one for each by its name."""

from collections.abc import Mapping
from dataclasses import dataclass

from bio_xlstm.errors import ConfigError, InputError, SequenceError
from bio_xlstm.records import open_records
from bio_xlstm.tokenizers.tokenizer import Tokenizer


@dataclass(frozen=True)
class WildTypes:
    """Hold the sequences of a file by their names, cleaned."""

    name: str
    letters: Mapping[str, str]

    def find(self, name: str | None) -> str:
        """Return the wild type of a row; SequenceError where none has its name."""
        if name is None:
            return next(iter(self.letters.values()))
        if name not in self.letters:
            raise SequenceError(f"{self.name} has no wild type {name!r}")
        return self.letters[name]

    @property
    def longest(self) -> int:
        """Return the length of the longest one."""
        return max(map(len, self.letters.values()))


def read_wild_types(path: str, tokenizer: Tokenizer) -> WildTypes:
    """Read a file of wild types; InputError where one cannot be read, or two have the same name."""
    found: dict[str, str] = {}
    source = open_records(path).with_kind(tokenizer.kind)
    for record in source:
        prepared = tokenizer.prepare(record.text)
        if record.status != "ok" or not len(prepared.ids):
            detail = prepared.detail if record.status == "ok" else record.detail
            raise InputError(f"{source.name} record {record.row} {record.id!r}: {detail}")
        if record.id in found:
            raise InputError(f"{source.name}: two wild types are called {record.id!r}")
        found[record.id] = tokenizer.decode(prepared.ids)
    return WildTypes(source.name, found)


def check_several(wild_types: WildTypes, column: str | None) -> None:
    """Refuse several wild types where no column tells which one a row is about."""
    if len(wild_types.letters) > 1 and column is None:
        raise ConfigError(
            f"{wild_types.name} holds {len(wild_types.letters)} wild types; name the column that tells them apart with "
            "--wildtype-column"
        )
