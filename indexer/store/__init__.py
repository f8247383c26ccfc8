"""A library on disk: its generations of vectors, publishing, checking, looking after it."""
