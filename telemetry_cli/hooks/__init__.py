"""Hooks: what a release is made of, how one is executed and watched, how its rows are checked; and conventions."""
