"""From video files to a library that can be searched.

`media` reads files, `search` finds the best vectors, `catalog` keeps what is known, `store` keeps a library on disk,
`ingest` runs the whole, `milvus` is another home for the vectors.
"""
