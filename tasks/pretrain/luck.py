"""Numbers that look random and depend on a sequence, or on a place in the data, and a seed alone."""

import hashlib

import numpy as np

_ODD = np.uint64(0x9E3779B97F4A7C15)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def digest(key: bytes, seed: int) -> int:
    """Return a whole number below 2**64 that depends on key and seed alone."""
    hashed = hashlib.blake2b(key, digest_size=8, salt=seed.to_bytes(8, "little")).digest()
    return int.from_bytes(hashed, "little")


def chance(key: bytes, seed: int) -> float:
    """Return a number in [0, 1) that depends on key and seed alone."""
    return digest(key, seed) / 2**64


def mixed(keys: np.ndarray, salt: int | np.ndarray = 0) -> np.ndarray:
    """Scramble whole numbers (N,), with another result for every salt; gives (N,) uint64.

    This is the finaliser of SplitMix64: numbers in sequence become independent ones.
    """
    salted = np.asarray(salt, np.uint64) * _MIX_1 + _ODD if np.ndim(salt) else _salted(int(salt))
    mixed = (np.asarray(keys).astype(np.uint64) + salted) * _ODD
    mixed = (mixed ^ (mixed >> np.uint64(30))) * _MIX_1
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _MIX_2
    return mixed ^ (mixed >> np.uint64(31))


def uniform(keys: np.ndarray, salt: int | np.ndarray = 0) -> np.ndarray:
    """Return a number in [0, 1) for every key (N,)."""
    return (mixed(keys, salt) >> np.uint64(11)) * 2.0**-53


def base_key(*seeds: int) -> np.ndarray:
    """Return one key (1,) that depends on all seeds, a salt for others."""
    base = np.zeros(1, np.uint64)
    for seed in seeds:
        base = mixed(base, seed)
    return base


def _salted(salt: int) -> np.uint64:
    """Turn a salt into an offset, without a warning where it wraps."""
    return np.uint64((salt * int(_MIX_1) + int(_ODD)) % 2**64)
