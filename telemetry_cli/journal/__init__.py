"""The journal: segments, buffer, blobs and backups. `store.Store` writes it."""
