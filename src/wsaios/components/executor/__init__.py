"""What starts next: ready shards, policy, slots, limits, retries and micro-batches."""
