-- Who read what, and who was refused: rows that are added and never changed. The app role may read and add (GRANTS); only the owner takes old
-- chains away, and leaves a record of it. No rebuild touches them.

-- migrate:up
CREATE TABLE audit (
    writer uuid NOT NULL,                       -- a chain is one process's records of a day at most
    number bigint NOT NULL CHECK (number > 0),  -- in its chain, without a gap
    at timestamptz NOT NULL,
    subjects text[] NOT NULL,                   -- whom the record is about; as `at` it stands in the record too
    record text NOT NULL,                       -- JSON as it was hashed: jsonb would not keep the bytes
    hash bytea NOT NULL CHECK (length(hash) = 32), -- SHA-256 of the hash before it, the number and the record
    mac bytea NOT NULL CHECK (length(mac) = 32),   -- of the hash, under a key derived from the master key
    PRIMARY KEY (writer, number)
);
CREATE INDEX audit_at ON audit (at);
CREATE INDEX audit_begun ON audit (at) WHERE number = 1;
CREATE INDEX audit_subjects ON audit USING gin (subjects);

-- migrate:down
DROP TABLE audit;
