"""What an assessment looks like on disk: tables, a page, and a file for other tools."""
