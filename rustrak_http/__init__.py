"""The HTTP face of Rustrak: the REST API, the SDK endpoints, the server and the `rustrak` command."""
