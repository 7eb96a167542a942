"""NIR, the exchange format of neuromorphic frameworks, to our graph and back; the `nir` package is imported inside functions.

`reading.py` goes from NIR to a `Graph`: nested graphs are laid flat (`flat.py`), several edges into a node become sums, and each node
is converted by its kind (`kinds.py`) from fields that may be scalars, lists, arrays or tensors (`fields.py`). `writing.py` goes
back. What NIR cannot say (lower bound, reset to zero, names of sums, order) travels in metadata under the key "chipflow".
"""

from chipflow.frontends.nir.reading import from_nir, load
from chipflow.frontends.nir.writing import to_nir

__all__ = ["from_nir", "load", "to_nir"]
