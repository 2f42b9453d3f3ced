"""The settings beside an original checkpoint: JSON or flat YAML, read with care as anybody may have edited them."""

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bio_xlstm.errors import ModelError

# no settings file comes near this size
_LARGEST = 1 << 26
_YAML_LINE = re.compile(r"([A-Za-z_][\w-]*)\s*:(?:\s+(.*?))?\s*")
_WORDS = {"true": True, "false": False, "null": None, "none": None, "~": None, "": None}


@dataclass(frozen=True)
class Settings:
    """Read named values of a settings file; ModelError names file, key and value where one has another type."""

    path: Path
    values: Mapping[str, Any]

    def __contains__(self, key: str) -> bool:
        return self.values.get(key) is not None

    def section(self, key: str) -> "Settings":
        """Return a table inside the file, empty where there is none."""
        inner = self.values.get(key)
        if inner is not None and not isinstance(inner, Mapping):
            raise self._wrong(key, "a table of settings")
        return Settings(self.path, inner or {})

    def whole(self, key: str, default: int) -> int:
        """Return a whole number that is not negative."""
        value = _literal(self.values.get(key))
        if value is None:
            return default
        number = int(value) if isinstance(value, float) and value.is_integer() else value
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < 1 << 62:
            raise self._wrong(key, "a whole number")
        return number

    def number(self, key: str, default: float) -> float:
        """Return a finite number."""
        value = _literal(self.values.get(key))
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not _finite(value):
            raise self._wrong(key, "a number")
        return float(value)

    def truth(self, key: str, default: bool = False) -> bool:
        """Return true or false."""
        value = _literal(self.values.get(key))
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self._wrong(key, "true or false")
        return value

    def word(self, key: str, default: str, known: Iterable[str] = ()) -> str:
        """Return a text, one of those known where only some are."""
        value = self.values.get(key, default)
        value = default if value is None else value
        known = tuple(known)
        if not isinstance(value, str) or (known and value not in known):
            raise self._wrong(key, f"one of {', '.join(known)}" if known else "text")
        return value

    def indices(self, key: str, count: int) -> tuple[int, ...]:
        """Return the numbers of some of `count` blocks; "all" names all of them."""
        value = self.values.get(key)
        value = _literal(value) if value != "all" else list(range(count))
        found = [] if value is None else value
        if not isinstance(found, list) or not all(
            type(index) is int and 0 <= index < count for index in found
        ):
            raise self._wrong(key, f"a list of blocks from 0 to {count - 1}")
        return tuple(sorted(set(found)))

    def agree(self, key: str, stated: int, found: int | None, what: str) -> None:
        """Refuse settings that state another number than the weights have; what neither has is no matter."""
        if found is not None and key in self and stated != found:
            raise ModelError(f"{self.path}: {key} makes {stated} {what}, but the weights have {found}")

    def require(self, program: str, keys: Iterable[str]) -> None:
        """Refuse settings without what a program always writes; "a or b" asks for one of two keys."""
        missing = [key for key in keys if not any(name in self for name in key.split(" or "))]
        if missing:
            raise ModelError(
                f"{self.path} does not state {', '.join(missing)}, which {program} always writes: without the settings "
                "that a checkpoint was trained with, what it computes is not known"
            )

    def assumed(self, defaults: Mapping[str, bool | float | str]) -> tuple[str, ...]:
        """Say in one note, or none, which settings the file leaves open and what is taken for them."""
        taken = [f"{key} = {_spelled(value)}" for key, value in defaults.items() if key not in self]
        return (f"assumed, as {self.path.name} does not say: {', '.join(taken)}",) if taken else ()

    def _wrong(self, key: str, wanted: str) -> ModelError:
        shown = repr(self.values.get(key))
        return ModelError(
            f"{self.path}: {key} must be {wanted}, not {shown if len(shown) <= 60 else shown[:60] + '...'}"
        )


def read_json(path: Path) -> Settings:
    """Read a JSON object; ModelError where the file holds anything else."""
    try:
        values = json.loads(_text(path))
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deep" if isinstance(error, RecursionError) else str(error)
        raise ModelError(f"{path} cannot be read as JSON: {reason}") from None
    if not isinstance(values, dict):
        raise ModelError(f"{path} must hold a JSON object, not {type(values).__name__}")
    return Settings(path, values)


def read_yaml(path: Path) -> Settings:
    """Read `key: value` lines, which is all that these YAML files hold; ModelError names another line."""
    values: dict[str, Any] = {}
    for number, line in enumerate(_text(path).splitlines(), start=1):
        plain = re.sub(r"(^|\s)#.*", "", line)
        if not plain.strip() or plain.strip() == "---":
            continue
        if not (match := _YAML_LINE.fullmatch(plain)):
            raise ModelError(f"{path} line {number} is not a flat setting `key: value`")
        value = match[2] or ""
        quoted = len(value) >= 2 and value[0] == value[-1] and value[0] in "'\""
        values[match[1]] = value[1:-1] if quoted else _literal(value)
    return Settings(path, values)


def _text(path: Path) -> str:
    """Return the text of a settings file."""
    try:
        if path.stat().st_size > _LARGEST:
            raise ModelError(f"{path} is too large for a file of settings")
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ModelError(f"{path} cannot be read: {reason}") from None


def _literal(value: Any) -> Any:
    """Turn text that stands for another value into it: settings that passed a command line are often all text."""
    if not isinstance(value, str):
        return value
    word = value.strip()
    if word.lower() in _WORDS:
        return _WORDS[word.lower()]
    try:
        return int(word) if re.fullmatch(r"[+-]?\d{1,18}", word) else float(word)
    except ValueError:
        pass
    if re.fullmatch(r"\[[\d,\s]*\]", word):
        try:
            return json.loads(word)
        except ValueError:
            pass
    return value


def _spelled(value: bool | float | str) -> str:
    """Write a value as a settings file does."""
    return str(value).lower() if isinstance(value, bool) else f"{value}"


def _finite(value: int | float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond all floats
        return False
