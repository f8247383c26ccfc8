"""The vectors of a gallery, as files and as compact rows that a scan reads."""
