"""What a library holds, in SQLite or PostgreSQL: videos, clips, captions, tags, refused files."""
