"""Import and export: formats in, formats out, and the rules of what comes from outside."""
