"""Settings, errors, locks, files, clock, validation and generated tables. Imports no other package."""
