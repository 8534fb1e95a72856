-- The intake, seen from both sides: what clients leave, what the owner takes, and what they say to each other.

-- name: intake_ids
-- The first of so many ids.
-- wanted
SELECT intake_ids(:wanted::bigint);

-- name: intake_add
-- Leave tasks, or the head or rows of a batch; what was left before under the same id stays as it is.
-- kinds, firsts, lasts, lengths, batches, readies, bodies
INSERT INTO intake (kind, first, last, length, batch, ready, at_us, body)
SELECT kind, first, last, length, batch, ready, server_now_us(), body FROM unnest(
    :kinds::smallint[], :firsts::bigint[], :lasts::bigint[], :lengths::bigint[], :batches::bigint[], :readies::boolean[],
    :bodies::bytea[]
) AS given (kind, first, last, length, batch, ready, body)
ON CONFLICT (first) DO NOTHING;

-- name: intake_leave
-- Leave tasks that have an idempotency key or parents, one by one, as (id, known, missing).
-- ids, bodies, tenants, keys, digests, windows_us, parents: a JSON array each
SELECT told.id, told.known, told.missing FROM unnest(
    :ids::bigint[], :bodies::bytea[], :tenants::bytea[], :keys::bytea[], :digests::text[], :windows_us::bigint[], :parents::json[]
) WITH ORDINALITY AS given (id, body, tenant, key, digest, window_us, parents, place),
LATERAL intake_leave(
    given.id, given.body, given.tenant, given.key, given.digest, given.window_us,
    ARRAY(SELECT value::bigint FROM json_array_elements_text(given.parents))
) AS told ORDER BY given.place;

-- name: intake_known
-- Which of these ids exist, in the intake or in the ledger.
-- ids
SELECT id FROM unnest(:ids::bigint[]) AS given (id) WHERE is_known(id);

-- name: intake_seal
-- A batch is whole: its head says so, and all of it is ready.
-- batch, body
UPDATE intake SET ready = true, body = CASE WHEN kind = 2 THEN :body::bytea ELSE body END WHERE batch = :batch::bigint AND batch <> 0;

-- name: intake_drop
-- Take a batch back that is not whole.
-- batch
DELETE FROM intake WHERE batch = :batch::bigint AND batch <> 0 AND NOT ready;

-- name: intake_sealed
-- Whether a batch is whole: true, false, or NULL when nobody knows it.
-- batch
SELECT coalesce(
    (SELECT true FROM batch WHERE id = :batch::bigint), (SELECT bool_and(ready) FROM intake WHERE batch = :batch::bigint AND batch <> 0)
);

-- name: intake_waiting
-- What is to be taken in, the oldest first, as much as `most` tasks: (place, kind, first, length, batch, at_us, body).
-- rows, most, unread: places of rows that nobody here can read
SELECT place, kind, first, length, batch, at_us, body FROM (
    SELECT *, sum(length) OVER (ORDER BY place) - length AS before FROM (
        SELECT * FROM intake WHERE ready AND place <> ALL (:unread::bigint[]) ORDER BY place LIMIT :rows::bigint
    ) AS oldest
) AS counted WHERE before < :most::bigint OR before = 0 ORDER BY place;

-- name: intake_abandoned
-- Take back batches whose clients added nothing for so long.
-- before_us
DELETE FROM intake WHERE batch IN (
    SELECT batch FROM intake WHERE batch <> 0 AND NOT ready GROUP BY batch HAVING max(at_us) < :before_us::bigint
);

-- name: ask
-- Ask the owner.
-- body
INSERT INTO question (at_us, body) VALUES (server_now_us(), :body::bytea) RETURNING id;

-- name: asked
-- What was asked, as (id, body); whoever takes a question answers it. Old answers that nobody wanted go.
WITH forgotten AS (DELETE FROM answer WHERE at_us < server_now_us() - 60000000)
DELETE FROM question RETURNING id, body;

-- name: answered
-- Answer questions.
-- questions, bodies
INSERT INTO answer (question, at_us, body)
SELECT question, server_now_us(), body FROM unnest(:questions::bigint[], :bodies::bytea[]) AS given (question, body)
ON CONFLICT (question) DO NOTHING;

-- name: answers_to
-- The answers to these questions, as (question, body); they are told once.
-- questions
DELETE FROM answer WHERE question = ANY (:questions::bigint[]) RETURNING question, body;

-- name: withdraw
-- Nobody waits for the answer to this question any more; a row: nobody had taken it.
-- question
DELETE FROM question WHERE id = :question::bigint;

-- name: ends_from
-- When the last task ended, as (ended_us, id); nothing when none did.
SELECT ended_us, id FROM outcome ORDER BY ended_us DESC, id DESC LIMIT 1;

-- name: ends_after
-- What ended after a place in the order of ends, as (ended_us, id, state).
-- ended_us, id, limit
SELECT ended_us, id, state FROM outcome WHERE (ended_us, id) > (:ended_us::bigint, :id::bigint)
ORDER BY ended_us, id LIMIT :limit::bigint;

-- name: batches_over
-- Those of these batches whose rows have all ended, and of these runs that have ended.
-- ids
SELECT id FROM batch WHERE id = ANY (:ids::bigint[]) AND NOT unfinished
UNION ALL
SELECT id FROM run WHERE id = ANY (:ids::bigint[]) AND state >= 6;

-- name: backend_end
-- End a session of this server that nobody reads from any more.
-- pid
SELECT pg_terminate_backend(:pid::integer);

-- name: backend_lives
-- Whether a session of this server is there still.
-- pid
SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = :pid::integer);

-- name: notify
-- Wake who listens.
-- channel
SELECT pg_notify(:channel::text, '');

-- name: intake_of
-- The row that may hold this id, if it is ready: as `intake_waiting`.
-- id
SELECT place, kind, first, length, batch, at_us, body FROM (
    SELECT * FROM intake WHERE first <= :id::bigint ORDER BY first DESC LIMIT 1
) AS nearest WHERE ready AND last >= :id::bigint;

-- name: intake_after
-- Rows with tasks of ids above this one, by id: as `intake_waiting`.
-- after, limit
SELECT place, kind, first, length, batch, at_us, body FROM intake
WHERE last > :after::bigint AND ready AND kind <> 2 ORDER BY first LIMIT :limit::bigint;

-- name: intake_heads
-- Batches that are whole, the latest first: as `intake_waiting`.
-- limit
SELECT place, kind, first, length, batch, at_us, body FROM intake WHERE ready AND kind = 2 ORDER BY first DESC LIMIT :limit::bigint;

-- name: intake_total
-- How many tasks are in the intake.
SELECT coalesce(sum(length), 0)::bigint FROM intake WHERE ready AND kind <> 2;
