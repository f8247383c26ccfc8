"""Runs that put files and captions into a library: walk, decode, encode, catalogue, publish."""
