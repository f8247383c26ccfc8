"""Several models trained and measured on the same data, in one table."""
