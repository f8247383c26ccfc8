"""From video files to a library that can be searched.

`media` reads files, `pipeline` makes vectors of them, `search` finds the best ones, `catalog` keeps what is known,
`store` keeps a library on disk, `texts` adds captions and subtitles, `ingest` runs the whole, `repair` heals it,
`milvus` is another home for the vectors, `cutting` lets clips leave as files.
"""
