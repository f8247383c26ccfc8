"""The model of the service: which one, in processes of its own, with workers that gather batches."""
