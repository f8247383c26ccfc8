"""What people see: the page in few files, the API reference, the kinds of problems."""
