"""The networks and what they need: from frames and sentences to vectors at the four levels, and how that is learned.

`encoder.py` is the protocol that everything after the networks relies on, `registry.py` finds an encoder by its name.
Knows nothing of FAISS, of HTTP and of video files.
"""
