-- The class of work of a shard: 0 bulk, 1 default, 2 interactive. What waits already is default work.
ALTER TABLE shard ADD COLUMN grade INTEGER NOT NULL DEFAULT 1 CHECK (grade BETWEEN 0 AND 2);
