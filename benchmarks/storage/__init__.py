"""The library on disk: power cuts, faults of file operations, a million clips. Videos are stand-ins."""
