"""The HTTP API, through the WSGI callable."""
