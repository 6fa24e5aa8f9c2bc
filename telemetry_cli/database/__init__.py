"""The database: the only place with SQL. Nothing but `apply` changes a table, and only a drain reaches it."""
