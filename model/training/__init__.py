"""Making a checkpoint: `data` reads captions and features, `loop` trains, `compare` measures models together."""
