"""The networks alone: ways to run them, precision, training steps. `made_models` makes them with random weights."""
