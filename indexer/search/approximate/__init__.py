"""Inverted lists: which rows of a large gallery are worth scoring."""
