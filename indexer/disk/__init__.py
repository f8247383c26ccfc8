"""Files that survive a crash, the lock that keeps a second writer out, and the name that a library keeps."""
