-- Version 10: what an adopted database of the platform held that has no place in the tables of this program.

-- A value as it was found: one that broke a rule, where a valid one stands in its place now, or one of a column or table
-- that there is no place for. "column" is the column of the run event_id; of another table it is table[row].column, or
-- table[row] with the whole row as a JSON object.
CREATE TABLE legacy_values (
    id INTEGER PRIMARY KEY,
    event_id TEXT REFERENCES agent_runs (event_id), -- null where there is no such run
    "column" TEXT NOT NULL,
    value ANY NOT NULL
) STRICT;

-- What a run held: pruned with it.
CREATE INDEX legacy_values_event_id ON legacy_values (event_id);
