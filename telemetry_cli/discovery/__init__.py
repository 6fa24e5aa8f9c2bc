"""What can be found out about where we run: the git repository, the CI provider, the agent. Null rather than a failure."""
