"""Models on frames and sentences of a frozen two-tower model: they learn how frames become one vector."""
