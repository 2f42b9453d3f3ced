"""Substructures that chemists avoid, from RDKit's catalogues."""

from functools import cache
from typing import Any

# pan-assay interference (doi:10.1021/jm901137j, its parts A, B and C) and the unwanted groups of Brenk
# (doi:10.1002/cmdc.200700139)
CATALOGUES = ("PAINS", "BRENK")


@cache
def catalogue(name: str) -> Any:
    """Load one of RDKit's catalogues."""
    from rdkit.Chem.FilterCatalog import FilterCatalog, FilterCatalogParams

    chosen = FilterCatalogParams()
    chosen.AddCatalog(getattr(FilterCatalogParams.FilterCatalogs, name))
    return FilterCatalog(chosen)


def alerts(molecule: Any) -> tuple[str, ...]:
    """Return for every catalogue the name of the first substructure that a molecule matches, "" for none."""
    matches = (catalogue(name).GetFirstMatch(molecule) for name in CATALOGUES)
    return tuple(match.GetDescription() if match is not None else "" for match in matches)
