"""A flight recorder for agents and CI jobs, over a local SQLite file."""

__version__ = "0.1.0"
