"""Questions answered from the live generation, in batches."""
