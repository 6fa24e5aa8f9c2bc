"""The handlers: plain functions that convert what was typed, act, and return a result. They print nothing.

Each takes the `Config` and the output format first, then what its Typer declaration in `cli/` names, as text, flag or
list of texts.
"""
