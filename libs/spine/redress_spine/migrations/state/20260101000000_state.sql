-- What one fold makes of the log: thrown away and made again by a rebuild. Runs in a schema of its own.

-- migrate:up
CREATE TABLE state (
    subject text PRIMARY KEY,
    id uuid GENERATED ALWAYS AS (split_part(subject, '/', 2)::uuid) STORED,
    partition int NOT NULL,
    revision bigint NOT NULL DEFAULT 0,         -- moves with observed, own and parked
    decided bigint NOT NULL DEFAULT 0,          -- moves with own alone: what an append looks at
    parked boolean NOT NULL DEFAULT false,
    read jsonb NOT NULL DEFAULT '{}',           -- by source: last version, its hash, the first 6 bytes of the last 64 versions'
    cause jsonb NOT NULL DEFAULT '{}',          -- the last foreign event that changed `observed`: its id and its trace
    observed jsonb NOT NULL DEFAULT '{}',
    own jsonb NOT NULL DEFAULT '{}'
);
ALTER TABLE state SET (fillfactor = 70);        -- room for updates on the same page
CREATE INDEX state_parked ON state (subject) WHERE parked;

-- Ciphertexts stay out of the row that every fold writes again.
CREATE TABLE sealed (
    subject text NOT NULL,
    ref text NOT NULL,                          -- <source>/<version>/<field>
    ciphertext bytea NOT NULL,
    PRIMARY KEY (subject, ref)
);

-- Lists that grow with a subject's history. A row for each entry, found by its place.
CREATE TABLE entries (
    subject text NOT NULL,
    list text NOT NULL,
    at bigint NOT NULL,                         -- microseconds
    source text NOT NULL,                       -- with version: the event that it was made of
    version bigint NOT NULL,
    data jsonb NOT NULL,
    size int NOT NULL,                          -- bytes, with the ciphertexts of its words: a page is bounded by them
    PRIMARY KEY (subject, list, at, source, version)
);

-- How many subjects are what: the sums over all of them, moved by each one's difference. A count of 0 is no count.
CREATE TABLE counts (
    name text NOT NULL,
    key text NOT NULL,
    n bigint NOT NULL,
    PRIMARY KEY (name, key)
);

-- By which personal values a subject is found: keyed digests of their normal forms, never the values. Removed with the subject's key.
CREATE TABLE lookups (
    subject text NOT NULL,
    digest bytea NOT NULL,
    place bigint NOT NULL,                      -- the newest subjects first
    PRIMARY KEY (digest, place, subject)
);
CREATE INDEX lookups_subject ON lookups (subject);

CREATE TABLE consumer_offsets (
    topic text NOT NULL,
    partition int NOT NULL,
    next bigint NOT NULL DEFAULT 0,
    epoch bigint NOT NULL DEFAULT 0,            -- moved by whoever else changes `observed`: a redrive
    kafka_cluster text NOT NULL,
    topic_id text,                              -- of the topic that was read: one that was made again has another
    last_offset bigint,                         -- of the last record below `next`, and its hash: what a log must have to be the one that was read
    last_hash bytea,
    PRIMARY KEY (topic, partition)
);

-- Records of subjects that could not be folded, and all their later ones, in order.
CREATE TABLE parked (
    subject text NOT NULL,
    position bigint GENERATED ALWAYS AS IDENTITY,
    topic text NOT NULL,
    partition int NOT NULL,
    "offset" bigint NOT NULL,
    reason text NOT NULL,
    detail text NOT NULL,
    type text,                                  -- of the event, where it has an envelope
    content bytea NOT NULL,                     -- a digest of key, value and chain: what a decision of an operator is about
    hash bytea NOT NULL,
    key bytea,
    value bytea,
    headers jsonb NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, partition, "offset")
);
CREATE INDEX parked_subject ON parked (subject, "offset");
CREATE INDEX parked_content ON parked (topic, partition, content);

-- Records that belong to no subject: shown, counted, in nobody's way, and kept until a release can read them or somebody skips them.
CREATE TABLE dead_letters (
    topic text NOT NULL,
    partition int NOT NULL,
    "offset" bigint NOT NULL,
    reason text NOT NULL,
    detail text NOT NULL,
    type text,
    content bytea NOT NULL,
    hash bytea NOT NULL,
    key bytea,
    value bytea,
    headers jsonb NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, partition, "offset")
);
CREATE INDEX set_aside_content ON dead_letters (topic, partition, content);
CREATE INDEX set_aside_at ON dead_letters (at);    -- whoever looks sees the newest, and reads no more of them

-- Rows whose decider failed, or that stayed due after their decision: the loop comes back to them later and later.
CREATE TABLE row_errors (
    automation text NOT NULL,
    subject text NOT NULL,
    error text NOT NULL,
    attempts int NOT NULL,
    retry_at timestamptz NOT NULL,
    PRIMARY KEY (automation, subject)
);
CREATE INDEX row_errors_attempts ON row_errors (attempts DESC, automation, subject);
CREATE INDEX row_errors_retry ON row_errors (automation, retry_at);

-- Whether this schema was ever read to the end of the log: a service is not ready before.
CREATE TABLE caught_up (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    at timestamptz NOT NULL DEFAULT now()
);

-- migrate:down
DROP TABLE caught_up, row_errors, dead_letters, parked, consumer_offsets, lookups, counts, entries, sealed, state;
