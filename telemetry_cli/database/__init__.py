"""The database: the only place with SQL. Only `apply` writes rows; `journal.writer` calls it."""
