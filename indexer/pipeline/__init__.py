"""From files to vectors, decoding and encoding at the same time: on this machine or on a Ray cluster."""
