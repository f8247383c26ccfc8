"""Matrix products by NumPy's BLAS instead of BLIS, which is two to three times slower on AMD processors.

Given to `spacy train --code`. It changes how long training takes; the trained pipeline does not depend on it.
"""

from __future__ import annotations

from thinc.api import NumpyOps, registry


@registry.ops("NumpyOps")
class OpenBlasOps(NumpyOps):
    """thinc's CPU backend without BLIS. The name `numpy` makes `get_ops("cpu")` choose it."""

    name = "numpy"

    def __init__(self, device_type: str = "cpu", device_id: int = -1) -> None:
        super().__init__(device_type, device_id, use_blis=False)
