"""The symbols of SMILES and the patterns that find them: OpenSMILES with the extensions that RDKit reads."""

import re

# outside brackets
ORGANIC = ("B", "C", "N", "O", "P", "S", "F", "Cl", "Br", "I", "b", "c", "n", "o", "p", "s")
BONDS = ("-", "=", "#", "$", ":", "/", "\\", "~", "->", "<-")
STRUCTURE = ("(", ")", ".", ">")
DIGITS = tuple("0123456789")
# %10 to %99 are one token each; %(123), %01 and the like are split
RING_NUMBERS = tuple(f"%{number}" for number in range(10, 100))

# inside brackets, too
_PERIODIC_TABLE = (
    "H He",
    "Li Be B C N O F Ne",
    "Na Mg Al Si P S Cl Ar",
    "K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr",
    "Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe",
    "Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn",
    "Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og",
)
ELEMENTS = tuple(element for period in _PERIODIC_TABLE for element in period.split())
# what elements 110 to 118 were called before they had a name
SYSTEMATIC_NAMES = ("Uun", "Uuu", "Uub", "Uut", "Uuq", "Uup", "Uuh", "Uus", "Uuo")
AROMATIC = ("b", "c", "n", "o", "p", "s", "si", "as", "se", "te")
CHIRALITY = ("@", "@@", "@TH", "@AL", "@SP", "@TB", "@OH")

OUTSIDE = (*ORGANIC, "*", *BONDS, *STRUCTURE, *DIGITS, "%", *RING_NUMBERS)
ATOMS = (*ELEMENTS, *SYSTEMATIC_NAMES, *AROMATIC, "*")
# every symbol once, the frequent ones first
SYMBOLS = tuple(dict.fromkeys((*OUTSIDE, "[", "]", "+", *CHIRALITY, *AROMATIC, *ELEMENTS, *SYSTEMATIC_NAMES)))

_ATOM = "|".join(re.escape(atom) for atom in sorted(ATOMS, key=len, reverse=True))
_CHIRAL = "@(?:@|TH|AL|SP|TB|OH)?"
_RUN = r"\[[^\[\]]*\]|%[1-9][0-9]|->|<-"

PIECE = re.compile(rf"{_RUN}|Cl|Br|.", re.DOTALL)
"""a token outside brackets, or a whole bracket atom, or one character that is neither"""
RUN = re.compile(_RUN)
"""a piece of more than one character, other than the two common elements Cl and Br"""
BRACKET = re.compile(rf"\[[0-9]*(?:{_ATOM}|#[0-9]+)(?:{_CHIRAL}|H|[0-9+:-])*\]")
"""isotope, element or #number, then chirality, hydrogens, charge and class; the only letter after an element is H,
so the longest element name is always the right one"""
BRACKET_TOKEN = re.compile(rf"{_CHIRAL}|{_ATOM}|.")
