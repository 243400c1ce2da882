-- What is for ever in a service's database: its journal, the keys, the answers given, and who said what to skip.

-- migrate:up
CREATE TABLE live (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    schema text NOT NULL,
    fold int NOT NULL
);

-- Events as they were sent (jsonb would not keep the bytes). The last row of a stream gives its version, hash and transaction.
CREATE TABLE events (
    stream text NOT NULL,
    version bigint NOT NULL CHECK (version > 0),
    global_position bigint GENERATED ALWAYS AS IDENTITY,
    transaction_id xid8 NOT NULL DEFAULT pg_current_xact_id(),
    topic text NOT NULL,
    type text NOT NULL,
    prevhash bytea NOT NULL CHECK (length(prevhash) = 32),
    hash bytea NOT NULL CHECK (length(hash) = 32),
    data bytea NOT NULL,
    partition int NOT NULL,                     -- of the subject that it was decided on: a rebuild goes by partitions
    PRIMARY KEY (stream, version)
);
CREATE UNIQUE INDEX events_relay ON events (transaction_id, global_position);

CREATE TABLE relay_checkpoint (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    transaction_id xid8 NOT NULL DEFAULT '0',
    global_position bigint NOT NULL DEFAULT 0,
    kafka_cluster text,
    topic_ids jsonb NOT NULL DEFAULT '{}',      -- of the topics that events were sent to: one that was made anew lacks them
    keys_from text                              -- all keys are being sent again: from behind this subject; null when they are not
);
INSERT INTO relay_checkpoint DEFAULT VALUES;

-- One data key for each subject, wrapped by the master key. `destroyed` wins over whatever comes later, and has its proof: who has no row
-- here is not forgotten.
CREATE TABLE keys (
    subject text PRIMARY KEY,
    wrapped bytea,
    destroyed boolean NOT NULL DEFAULT false,
    proof bytea,                                -- of the destruction: only who has the MAC key of their maker can make it
    acknowledged boolean NOT NULL,
    CHECK (destroyed = (wrapped IS NULL) AND destroyed = (proof IS NOT NULL))
);
CREATE INDEX keys_unacknowledged ON keys (subject) WHERE NOT acknowledged;

CREATE TABLE idempotency (
    key text PRIMARY KEY,
    request bytea NOT NULL,
    subject text NOT NULL,
    version bigint NOT NULL,                    -- of the last event that the command made; 0 where it made none
    at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX idempotency_at ON idempotency (at);

CREATE TABLE skips (
    topic text NOT NULL,
    partition int NOT NULL,
    content bytea NOT NULL,                     -- a digest of the record's key, value and chain: all copies of it are passed over
    hash bytea NOT NULL,
    "offset" bigint NOT NULL,                   -- where the copy stood that was decided upon
    reached bigint NOT NULL,                    -- the version of its source that was read when it was skipped: only then it is passed over
    who text NOT NULL,
    why text NOT NULL CHECK (length(why) BETWEEN 1 AND 200), -- in clear: nothing of a customer
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, partition, content)
);

-- Schemas of state that were ever begun: a name is used once.
CREATE TABLE rebuilds (
    schema text PRIMARY KEY,
    fold int NOT NULL,
    begun_at timestamptz NOT NULL DEFAULT now(),
    live_at timestamptz
);

-- The timeline that this server writes now. (The control file has it only since the last checkpoint, minutes after a promotion.) A
-- standby writes none: it raises.
CREATE FUNCTION timeline_now() RETURNS int LANGUAGE sql AS $$
    SELECT ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int
$$;

-- The cluster and timeline this journal grew on: another one means a restored journal, which may be older than the log.
-- `redress adopt` compares both and writes the new one; timeline 0 means that it is at work.
CREATE TABLE birthplace (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    system_identifier bigint NOT NULL,
    timeline int NOT NULL
);
INSERT INTO birthplace (system_identifier, timeline) SELECT s.system_identifier, timeline_now() FROM pg_control_system() s;

-- How many partitions the journal is numbered for (`events.partition`): the same for ever, for a subject that changed its partition would
-- lose its order on the log.
CREATE TABLE partitioning (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    partitions int NOT NULL CHECK (partitions > 0)
);

-- One commit of many decisions in one round trip: lock the rows, compare what was read, take the keys, write journal and state.
-- An item is a position in the first arrays (counted from 1); events, sealed values and entries name theirs. revision 0 means a new row.
-- decided: null, or the item is an append, which does not depend on what was observed: then this is compared, and not the revision.
-- Outcomes: committed · conflict (the row moved: decide again) · order (an event would get an older transaction than its predecessor: try again
-- in a new transaction) · replayed (the idempotency key was taken: here is the stored answer).
-- Raises JR001 where the journal did not grow on this timeline: it would give out versions that the log has already. A session cannot know
-- (one that was open before a promotion lives on, and a pooler changes the server under it), so each commit looks.
CREATE FUNCTION commit_decisions(
    p_subjects text[], p_partitions int[], p_revisions bigint[], p_decided bigint[], p_own jsonb[],
    p_keys text[], p_requests bytea[], p_versions bigint[], p_wrapped bytea[],
    p_event_items int[], p_streams text[], p_event_versions bigint[], p_topics text[], p_types text[], p_prevhashes bytea[], p_hashes bytea[], p_data bytea[],
    p_sealed_items int[], p_refs text[], p_ciphertexts bytea[],
    p_entry_items int[], p_lists text[], p_entry_sources text[], p_entry_versions bigint[], p_ats bigint[], p_entries jsonb[], p_sizes int[]
) RETURNS TABLE (item int, outcome text, stored_subject text, stored_version bigint, stored_request bytea)
LANGUAGE plpgsql AS $$
DECLARE
    own xid8 := pg_current_xact_id();
    outcomes text[] := array_fill('committed'::text, ARRAY[cardinality(p_subjects)]);
    i int;
    taken text[];
    bad record;
BEGIN
    PERFORM FROM birthplace b WHERE b.timeline = timeline_now();
    IF NOT FOUND THEN
        RAISE EXCEPTION 'The journal did not grow on this timeline.' USING ERRCODE = 'JR001';
    END IF;

    -- rows by id
    FOR bad IN
        WITH locked AS MATERIALIZED (
            SELECT s.subject, s.revision, s.decided FROM state s WHERE s.subject = ANY (p_subjects) ORDER BY s.subject FOR UPDATE
        )
        SELECT w.ord::int AS ord
        FROM unnest(p_subjects, p_revisions, p_decided) WITH ORDINALITY w (subject, revision, decided, ord)
        LEFT JOIN locked l ON l.subject = w.subject
        WHERE CASE WHEN w.decided IS NULL THEN coalesce(l.revision, 0) <> w.revision ELSE l.decided IS DISTINCT FROM w.decided END
    LOOP
        outcomes[bad.ord] := 'conflict';
    END LOOP;

    -- heads of the streams: the chain must continue where it was read, and never in an older transaction
    FOR bad IN
        SELECT e.item_no, h.transaction_id > own AS older
        FROM (
            SELECT u.item_no, u.stream, min(u.version) AS first
            FROM unnest(p_event_items, p_streams, p_event_versions) u (item_no, stream, version)
            GROUP BY u.item_no, u.stream
        ) e
        LEFT JOIN LATERAL (
            SELECT v.version, v.transaction_id FROM events v WHERE v.stream = e.stream ORDER BY v.version DESC LIMIT 1
        ) h ON true
        WHERE coalesce(h.version, 0) <> e.first - 1 OR h.transaction_id > own
    LOOP
        IF outcomes[bad.item_no] = 'committed' THEN
            outcomes[bad.item_no] := CASE WHEN bad.older THEN 'order' ELSE 'conflict' END;
        END IF;
    END LOOP;

    -- keys in key order; whoever loses gets the stored answer. What there is none of costs no statement, here and below.
    IF cardinality(array_remove(p_keys, NULL)) > 0 THEN
        WITH fresh AS (
            INSERT INTO idempotency (key, request, subject, version)
            SELECT k.key, k.request, k.subject, k.version
            FROM unnest(p_keys, p_requests, p_subjects, p_versions, outcomes) k (key, request, subject, version, result)
            WHERE k.key IS NOT NULL AND k.result = 'committed'
            ORDER BY k.key
            ON CONFLICT DO NOTHING
            RETURNING key
        )
        SELECT coalesce(array_agg(f.key), '{}') INTO taken FROM fresh f;
        FOR i IN 1 .. cardinality(p_subjects) LOOP
            IF outcomes[i] = 'committed' AND p_keys[i] IS NOT NULL AND NOT p_keys[i] = ANY (taken) THEN
                outcomes[i] := 'replayed';
            END IF;
        END LOOP;
    END IF;

    IF 'committed' = ANY (outcomes) THEN
        IF 0 < ANY (p_revisions) THEN
            UPDATE state s SET own = w.own, revision = s.revision + 1, decided = s.decided + 1
            FROM unnest(p_subjects, p_revisions, p_own, outcomes) w (subject, revision, own, result)
            WHERE s.subject = w.subject AND w.revision > 0 AND w.result = 'committed';
        END IF;
        IF 0 = ANY (p_revisions) THEN
            INSERT INTO state (subject, partition, revision, decided, own)
            SELECT w.subject, w.partition, 1, 1, w.own
            FROM unnest(p_subjects, p_partitions, p_revisions, p_own, outcomes) w (subject, partition, revision, own, result)
            WHERE w.revision = 0 AND w.result = 'committed'
            ORDER BY w.subject;
        END IF;
        IF cardinality(array_remove(p_wrapped, NULL)) > 0 THEN
            INSERT INTO keys (subject, wrapped, acknowledged)
            SELECT w.subject, w.wrapped, false
            FROM unnest(p_subjects, p_wrapped, outcomes) w (subject, wrapped, result)
            WHERE w.wrapped IS NOT NULL AND w.result = 'committed';
        END IF;

        INSERT INTO events (stream, version, topic, type, prevhash, hash, data, partition)
        SELECT e.stream, e.version, e.topic, e.type, e.prevhash, e.hash, e.data, p_partitions[e.item_no]
        FROM unnest(p_event_items, p_streams, p_event_versions, p_topics, p_types, p_prevhashes, p_hashes, p_data)
            WITH ORDINALITY e (item_no, stream, version, topic, type, prevhash, hash, data, ord)
        WHERE outcomes[e.item_no] = 'committed'
        ORDER BY e.ord;

        IF cardinality(p_sealed_items) > 0 THEN
            INSERT INTO sealed (subject, ref, ciphertext)
            SELECT p_subjects[v.item_no], v.ref, v.ciphertext
            FROM unnest(p_sealed_items, p_refs, p_ciphertexts) v (item_no, ref, ciphertext)
            WHERE outcomes[v.item_no] = 'committed'
            ON CONFLICT DO NOTHING;
        END IF;
        IF cardinality(p_entry_items) > 0 THEN
            INSERT INTO entries (subject, list, source, version, at, data, size)
            SELECT p_subjects[n.item_no], n.list, n.source, n.version, n.at, n.data, n.size
            FROM unnest(p_entry_items, p_lists, p_entry_sources, p_entry_versions, p_ats, p_entries, p_sizes)
                n (item_no, list, source, version, at, data, size)
            WHERE outcomes[n.item_no] = 'committed'
            ON CONFLICT DO NOTHING;
        END IF;
    END IF;

    FOR i IN 1 .. cardinality(p_subjects) LOOP
        item := i;
        outcome := outcomes[i];
        IF outcome = 'replayed' THEN
            SELECT d.subject, d.version, d.request INTO stored_subject, stored_version, stored_request
            FROM idempotency d WHERE d.key = p_keys[i];
        ELSE
            stored_subject := NULL;
            stored_version := NULL;
            stored_request := NULL;
        END IF;
        RETURN NEXT;
    END LOOP;
END $$;

-- migrate:down
DROP FUNCTION commit_decisions, timeline_now;
DROP TABLE partitioning, birthplace, rebuilds, skips, idempotency, keys, relay_checkpoint, events, live;
