"""The HTTP application: routes, access, problems, uploads, files, middleware."""
