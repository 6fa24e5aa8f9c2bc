"""Import and export: formats in, formats out, and the rules of what comes from outside."""

#: The formats that can be read, and those that can be written.
READ = ("ndjson", "json", "csv", "sqlite", "legacy-ndjson")
WRITTEN = ("ndjson", "json", "csv", "parquet")
