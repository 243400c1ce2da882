-- The trace in which an effect is done: that of the last event that changed the row that wants it.

-- migrate:up
ALTER TABLE effects ADD COLUMN traceparent text;

-- migrate:down
ALTER TABLE effects DROP COLUMN traceparent;
