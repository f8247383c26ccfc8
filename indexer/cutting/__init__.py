"""Clips that leave the library: as files of their own, and as lists for players and editing programs."""
