"""From a video file to clips with sampled frames, pictures and strips. Knows nothing of libraries."""
