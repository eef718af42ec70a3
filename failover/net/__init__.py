"""The gate: encrypted UDP between members. Everything but `endpoint.py` is sans-IO: bytes and times in, bytes out."""
