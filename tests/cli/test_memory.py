"""The allocator keeps freed memory for the program, unless the user asked for something else."""

import ctypes

import pytest

from bio_xlstm.cli import memory


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Return what mallopt is told, on a Linux where nobody set anything."""
    for name in memory.ALLOCATOR:
        monkeypatch.delenv(name, raising=False)
    calls: list[tuple[int, int]] = []

    class Library:
        def mallopt(self, parameter: int, size: int) -> int:
            calls.append((parameter, size))
            return 1

    monkeypatch.setattr(ctypes, "CDLL", lambda _: Library())
    monkeypatch.setattr("sys.platform", "linux")
    return calls


def test_the_thresholds_are_set(told: list[tuple[int, int]]) -> None:
    memory.keep_freed_memory()
    assert told == [(-3, 1 << 30), (-1, (1 << 31) - 1)]


def test_the_users_choice_stands(told: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1000000")
    memory.keep_freed_memory()
    assert not told


def test_another_library_or_system_is_left_alone(
    told: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    memory.keep_freed_memory()
    monkeypatch.setattr("sys.platform", "darwin")
    memory.keep_freed_memory()
    assert not told
