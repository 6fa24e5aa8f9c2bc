"""Redaction of secrets in values before anything is written."""
