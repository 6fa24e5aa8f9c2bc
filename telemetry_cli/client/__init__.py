"""The Python client: record runs from inside a program, without ever standing in its way."""
