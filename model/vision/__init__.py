"""Networks that turn frames into features: torchvision classifiers, and the picture towers of two-tower models."""
