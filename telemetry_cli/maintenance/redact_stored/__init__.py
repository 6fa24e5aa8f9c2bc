"""Secrets in what is stored already: found (`scan`), and taken out (`fix`). What is recorded today never holds any; older records may."""
