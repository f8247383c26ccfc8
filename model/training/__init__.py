"""Data, objective and loop that make an MCSAN checkpoint."""
