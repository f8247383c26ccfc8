"""From files to clips: decoding, seeking, whole indexing runs, versus the floors of the same run."""
