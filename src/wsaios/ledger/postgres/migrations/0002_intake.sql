-- The intake: what clients in other processes leave for the owner, who takes a row out in the very commit that accepts its tasks.
-- Bodies are msgpack (kernel/intake.py). Ids are given out here, in the slot that belongs to the ledger itself (kernel/ids.py).

-- The last ordinal given out: milliseconds since 2020 in the upper bits, 12 bits of sequence below.
CREATE SEQUENCE intake_id;

-- `kind`: 1 tasks, 2 the head of a batch, 3 rows of one. It stands for the `length` ids of one run from `first` to `last`. Rows of
-- a batch are not `ready` before all of them are there.
CREATE TABLE intake (
    place  bigint   GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind   smallint NOT NULL CHECK (kind BETWEEN 1 AND 3),
    first  bigint   NOT NULL CHECK (first > 0),
    last   bigint   NOT NULL CHECK (last >= first),
    length bigint   NOT NULL CHECK (length > 0),
    batch  bigint   NOT NULL CHECK ((batch <> 0) = (kind <> 1)),
    ready  boolean  NOT NULL,
    at_us  bigint   NOT NULL,
    body   bytea    NOT NULL
) WITH (
    autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0,
    autovacuum_vacuum_insert_scale_factor = 0.1, autovacuum_analyze_threshold = 1000
);
CREATE UNIQUE INDEX intake_by_id ON intake (first);
CREATE INDEX intake_ready ON intake (place) WHERE ready;
CREATE INDEX intake_of_batch ON intake (batch, place) WHERE batch <> 0;

-- Questions to the owner and its answers. Nobody misses them after a crash: who asked asks again.
CREATE UNLOGGED TABLE question (
    id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at_us bigint NOT NULL,
    body  bytea  NOT NULL
);
CREATE UNLOGGED TABLE answer (
    question bigint PRIMARY KEY,
    at_us    bigint NOT NULL,
    body     bytea  NOT NULL
);

CREATE FUNCTION server_now_us() RETURNS bigint LANGUAGE sql VOLATILE AS
$$ SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint $$;

-- The first of a run of ids that nobody else gets. The lock lasts only as long as this call, whatever transaction it is part of.
CREATE FUNCTION intake_ids(wanted bigint) RETURNS bigint LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    start bigint;
BEGIN
    PERFORM pg_advisory_lock(1465073994, hashtext(current_schema()));
    BEGIN
        SELECT greatest(last_value + 1, (server_now_us() / 1000 - 1577836800000) << 12) INTO start FROM intake_id;
        PERFORM setval('intake_id', start + wanted - 1);
    EXCEPTION WHEN query_canceled OR OTHERS THEN
        PERFORM pg_advisory_unlock(1465073994, hashtext(current_schema()));
        RAISE;
    END;
    PERFORM pg_advisory_unlock(1465073994, hashtext(current_schema()));
    RETURN ((start >> 12) << 22) | (start & 4095);
END
$$;

-- Whether a task or batch with this id exists, be it in the intake still.
CREATE FUNCTION is_known(number bigint) RETURNS boolean LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
    SELECT EXISTS (SELECT FROM live WHERE id = number)
        OR EXISTS (SELECT FROM outcome WHERE id = number)
        OR coalesce((SELECT last >= number FROM intake WHERE first <= number ORDER BY first DESC LIMIT 1), false)
$$;

-- Leave one task; `given_id` NULL: a new id. Nothing is left when `missing` says which parent there is not, or when its idempotency
-- key belongs to another task, whose digest is `known` then.
CREATE FUNCTION intake_leave(
    given_id bigint, given_body bytea, given_tenant bytea, given_key bytea, given_digest text, window_us bigint, parents bigint[],
    OUT id bigint, OUT known text, OUT missing bigint
) LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    now_us bigint := server_now_us();
    holder bigint;
BEGIN
    SELECT parent INTO missing FROM unnest(parents) AS parent WHERE NOT is_known(parent) LIMIT 1;
    IF missing IS NOT NULL THEN
        RETURN;
    END IF;
    id := coalesce(given_id, intake_ids(1));
    IF given_key IS NOT NULL THEN
        LOOP
            INSERT INTO idempotency AS held (tenant, key, task, digest, until_us)
            VALUES (given_tenant, given_key, id, given_digest, now_us + window_us)
            ON CONFLICT (tenant, key) DO UPDATE SET task = excluded.task, digest = excluded.digest, until_us = excluded.until_us
            WHERE held.until_us <= now_us;
            EXIT WHEN FOUND;
            SELECT task, digest INTO holder, known FROM idempotency WHERE tenant = given_tenant AND key = given_key;
            IF FOUND THEN
                id := holder;
                RETURN;
            END IF;
            -- It was forgotten between the two.
        END LOOP;
    END IF;
    INSERT INTO intake (kind, first, last, length, batch, ready, at_us, body)
    VALUES (1, id, id, 1, 0, true, now_us, given_body);
END
$$;
