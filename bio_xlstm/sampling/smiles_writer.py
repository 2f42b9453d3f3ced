"""Where a half-written SMILES stands: what may follow, and how many tokens it needs at least to be whole."""

from dataclasses import dataclass, field

# what was written last, as far as it matters to what follows
START, ATOM, BOND, OPENED, CLOSED = "start", "atom", "bond", "opened", "closed"
# parts of an atom in brackets, by what was written last
ISOTOPE, ELEMENT, CHIRAL, HYDROGEN, HYDROGENS, CHARGE, CHARGES = range(7)
_DIGITS = frozenset("0123456789")
_BONDS = frozenset(("-", "=", "#", "$", ":", "/", "\\"))
_SIGNS = frozenset("+-")
_MOST_ISOTOPE = 3


@dataclass
class Writer:
    """Follow one SMILES, token by token: branches, rings and atoms in brackets."""

    last: str = START
    bracket: int | None = None  # the part of an atom in brackets, None outside
    isotope: int = 0  # digits of it
    atom: int = -1  # the number of the atom that the next one is bonded to, -1 for none
    atoms: int = 0
    branches: list[int] = field(default_factory=list)  # the atoms that branches go back to
    rings: dict[str, tuple[int, str]] = field(
        default_factory=dict
    )  # number: the atom that opened it, and its bond
    neighbours: dict[int, set[int]] = field(default_factory=dict)
    bond: str = ""  # written since the last atom
    direct: bool = False  # whether it stands right behind that atom

    @property
    def whole(self) -> bool:
        """Tell whether the SMILES may end here."""
        inside = self.bracket is not None or self.branches or self.rings
        return not inside and self.last in (ATOM, CLOSED)

    def closable(self, number: str) -> bool:
        """Tell whether a ring may be closed at the last atom: neither on itself nor beside a bond that is there."""
        other, bond = self.rings[number]
        far = other != self.atom and other not in self.neighbours.get(self.atom, ())
        return far and (not bond or not self.bond or bond == self.bond)

    def needed(self) -> int:
        """Return how many tokens make the SMILES whole, on a way that adds carbon atoms and closes rings at them."""
        count = 0 if self.bracket is None else 2 if self.bracket == ISOTOPE else 1
        # an atom has to come next; so does one where rings are open, as their numbers do not stand behind a branch
        expecting = self.bracket is None and (
            self.last in (START, BOND, OPENED) or (self.last == CLOSED and bool(self.rings))
        )
        count += expecting + len(self.branches)
        new = expecting or self.bracket == ISOTOPE
        near = {self.atom} if new else self._near()
        here = self.atoms if new else self.atom
        waiting = [atom for atom, _ in self.rings.values()]
        while waiting:
            ready = [atom for atom in waiting if atom not in near and atom != here]
            if ready:
                waiting.remove(ready[0])
                near = near | {ready[0]}
            else:
                # another atom, of which only the one before is a neighbour
                near, here = {here}, -2
            count += 1
        return count

    def _near(self) -> set[int]:
        return self.neighbours.get(self.atom, set())

    def add(self, token: str) -> None:
        """Write a token that may follow."""
        if self.bracket is not None:
            self._add_inside(token)
        elif token == "[":
            self.bracket, self.isotope = ISOTOPE, 0
        elif token in _BONDS:
            self.direct, self.last, self.bond = self.last == ATOM, BOND, token
        elif token == "(":
            self.branches.append(self.atom)
            self.last = OPENED
        elif token == ")":
            self.atom = self.branches.pop()
            self.last = CLOSED
        elif token == ".":
            self.last, self.atom = START, -1
        elif is_ring(token):
            self._ring(token)
        else:
            self._new_atom()

    def _add_inside(self, token: str) -> None:
        """Write a token of an atom in brackets."""
        if token == "]":
            self.bracket = None
            self.last = ATOM
        elif self.bracket == ISOTOPE and token in _DIGITS:
            self.isotope += 1
        elif self.bracket == ISOTOPE:
            self._new_atom()
            self.bracket = ELEMENT
        elif token in ("@", "@@"):
            self.bracket = CHIRAL
        elif token == "H":
            self.bracket = HYDROGEN
        elif token in _SIGNS:
            self.bracket = CHARGE
        else:
            self.bracket = HYDROGENS if self.bracket == HYDROGEN else CHARGES

    def _new_atom(self) -> None:
        """Bond an atom to the one before."""
        new = self.atoms
        self.neighbours[new] = set() if self.atom < 0 else {self.atom}
        if self.atom >= 0:
            self.neighbours[self.atom].add(new)
        self.atom, self.atoms = new, new + 1
        self.last, self.bond = ATOM, ""

    def _ring(self, number: str) -> None:
        """Open a ring, or close it."""
        if number in self.rings:
            other, _ = self.rings.pop(number)
            self.neighbours[other].add(self.atom)
            self.neighbours[self.atom].add(other)
        else:
            self.rings[number] = self.atom, self.bond
        self.last, self.bond = ATOM, ""

    def may_follow(self, token: str) -> bool:
        """Tell whether the grammar lets a token follow, whatever length is left."""
        if self.bracket is not None:
            return self._inside(token)
        if token in _BONDS:
            return self.last in (ATOM, CLOSED, OPENED)
        if token == "(":
            return self.last in (ATOM, CLOSED)
        if token == ")":
            return bool(self.branches) and self.last in (ATOM, CLOSED)
        if token == ".":
            # a dot inside a branch would leave the atom that the branch goes back to
            return self.last in (ATOM, CLOSED) and not self.branches
        if is_ring(token):
            after = self.last == ATOM or (self.last == BOND and self.direct)
            return after and (token not in self.rings or self.closable(token))
        return token not in ("]", "@", "@@", "+")

    def _inside(self, token: str) -> bool:
        """Tell whether a token may follow in brackets."""
        part = self.bracket
        if token == "]":
            return part != ISOTOPE
        if part == ISOTOPE:
            return is_element(token) or (token in _DIGITS and self.isotope < _MOST_ISOTOPE)
        if token in ("@", "@@"):
            return part == ELEMENT
        if token == "H":
            return part in (ELEMENT, CHIRAL)
        if token in _SIGNS:
            return part in (ELEMENT, CHIRAL, HYDROGEN, HYDROGENS)
        return token in _DIGITS - {"0", "1"} and part in (HYDROGEN, CHARGE)


def is_ring(token: str) -> bool:
    """Tell whether a token is the number of a ring, outside of brackets."""
    return token in _DIGITS or (token.startswith("%") and len(token) == 3)


def is_element(token: str) -> bool:
    """Tell whether a token can be the element of an atom in brackets."""
    return token == "*" or (token[0].isalpha() and token.isalpha())
