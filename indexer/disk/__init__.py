"""Files that survive a crash, and the lock that keeps a second writer out."""
