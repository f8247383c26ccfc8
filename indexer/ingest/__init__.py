"""Runs that bring a library up to date with folders: walk, plan, catalogue, publish, watch."""
