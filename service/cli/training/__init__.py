"""Commands that make, fetch, measure and compare models."""
