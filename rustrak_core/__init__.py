"""The pure core of Rustrak: bytes and values in, values out."""
