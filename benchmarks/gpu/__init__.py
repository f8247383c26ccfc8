"""The table of a GPU: `python -m benchmarks.gpu.check` needs PyTorch alone."""
