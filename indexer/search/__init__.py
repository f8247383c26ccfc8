"""Fused top-k over the levels of a gallery, exact and certified. Knows nothing of libraries.

`top_k.py` is the way in. `vectors` keeps rows, `exact` scans all of them, `approximate` scans 4-bit codes.
"""
