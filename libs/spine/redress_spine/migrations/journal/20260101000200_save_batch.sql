-- What a projector, or a redrive, has folded, in one round trip: the fence, then states, ciphertexts and entries. What projections show hangs on
-- its outcomes.

-- migrate:up
-- An item is a position in p_subjects (counted from 1). The fence are partitions as they must be, and as they become. decided: what was read, where projections were made of it; null where none were.
-- p_timeline: of the journal that was looked into for what came back of our events; null where that is not taken from memory. Raises JR001 where
-- this is another: a pooler changes the server under a session.
-- Raises FL001 where somebody else moved these partitions, or touched them by a redrive; OV001 where something was decided meanwhile on an item
-- whose projections were made of what was read: they have to be made anew, behind the row's lock. Nothing is written then.
CREATE FUNCTION save_batch(
    p_topics text[], p_partitions int[], p_expected bigint[], p_epochs bigint[], p_next bigint[], p_topic_ids text[], p_last_offsets bigint[], p_last_hashes bytea[],
    p_subjects text[], p_homes int[], p_decided bigint[], p_parked boolean[], p_reads jsonb[], p_causes jsonb[], p_observed jsonb[],
    p_sealed_subjects text[], p_refs text[], p_ciphertexts bytea[],
    p_entry_subjects text[], p_lists text[], p_entry_sources text[], p_entry_versions bigint[], p_ats bigint[], p_entries jsonb[], p_sizes int[],
    p_timeline int
) RETURNS TABLE (item int, outcome text, decided bigint)
LANGUAGE plpgsql AS $$
DECLARE
    moved bigint;
    stored bigint[];
BEGIN
    IF p_timeline <> timeline_now() THEN
        RAISE EXCEPTION 'This is another journal than the one that was looked into.' USING ERRCODE = 'JR001';
    END IF;

    UPDATE consumer_offsets o SET next = p.new, topic_id = coalesce(p.topic_id, o.topic_id),
        last_offset = coalesce(p.last_offset, o.last_offset), last_hash = coalesce(p.last_hash, o.last_hash)
    FROM unnest(p_topics, p_partitions, p_expected, p_epochs, p_next, p_topic_ids, p_last_offsets, p_last_hashes)
        p (topic, partition, expected, epoch, new, topic_id, last_offset, last_hash)
    WHERE o.topic = p.topic AND o.partition = p.partition AND o.next = p.expected AND o.epoch = p.epoch;
    GET DIAGNOSTICS moved = ROW_COUNT;
    IF moved <> cardinality(p_topics) THEN
        RAISE EXCEPTION 'The fence is lost.' USING ERRCODE = 'FL001';
    END IF;

    -- rows by id
    WITH saved AS (
        INSERT INTO state AS t (subject, partition, revision, parked, read, cause, observed)
        SELECT w.subject, w.partition, 1, w.parked, w.read, w.cause, w.observed
        FROM unnest(p_subjects, p_homes, p_parked, p_reads, p_causes, p_observed) w (subject, partition, parked, read, cause, observed)
        ORDER BY w.subject
        ON CONFLICT (subject) DO UPDATE SET
            parked = excluded.parked, read = excluded.read, cause = excluded.cause, observed = excluded.observed,
            revision = t.revision + (t.observed <> excluded.observed OR t.parked <> excluded.parked)::int
        RETURNING t.subject, t.decided
    )
    SELECT array_agg(s.decided ORDER BY w.ord) INTO stored
    FROM unnest(p_subjects) WITH ORDINALITY w (subject, ord) JOIN saved s ON s.subject = w.subject;
    FOR i IN 1 .. cardinality(p_subjects) LOOP
        IF stored[i] <> p_decided[i] THEN
            RAISE EXCEPTION 'Something was decided meanwhile.' USING ERRCODE = 'OV001';
        END IF;
    END LOOP;

    IF cardinality(p_sealed_subjects) > 0 THEN
        INSERT INTO sealed (subject, ref, ciphertext) SELECT * FROM unnest(p_sealed_subjects, p_refs, p_ciphertexts) ON CONFLICT DO NOTHING;
    END IF;
    IF cardinality(p_entry_subjects) > 0 THEN
        INSERT INTO entries (subject, list, source, version, at, data, size)
        SELECT * FROM unnest(p_entry_subjects, p_lists, p_entry_sources, p_entry_versions, p_ats, p_entries, p_sizes) ON CONFLICT DO NOTHING;
    END IF;
    outcome := 'committed';
    FOR i IN 1 .. cardinality(p_subjects) LOOP
        item := i;
        decided := stored[i];
        RETURN NEXT;
    END LOOP;
END $$;

-- migrate:down
DROP FUNCTION save_batch;
