"""What the server that a Redis address names would lose in a power cut."""

import redis


def durability(url: str) -> tuple[str, bool]:
    """In words, and whether everything acknowledged survives: only with an append-only file synced at every write."""
    with redis.Redis.from_url(url) as client:
        found = client.config_get("append*")
        version = client.info("server")["redis_version"]
    append, sync = found.get("appendonly", "no"), found.get("appendfsync", "no")
    said = f"Redis {version}, appendonly {append}, appendfsync {sync}"
    return said, append == "yes" and sync == "always"
