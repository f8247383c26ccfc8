"""The training loop: objectives, validation, resuming, several GPUs."""
