"""The management routes, one noun a module: read the request, call the store, write the answer."""
