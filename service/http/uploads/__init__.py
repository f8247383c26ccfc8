"""Files that clients send: to search with, to be indexed, and for a job to read."""
