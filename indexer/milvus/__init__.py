"""A library's vectors in Milvus, behind the same contract of search."""
