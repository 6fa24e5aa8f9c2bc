"""Git hooks that record: how they come into a repository, what they do when git calls them, how rewritten commits keep their runs."""

#: The hooks that telemetry knows.
HOOKS = ("post-commit", "post-rewrite", "post-merge", "post-applypatch")
