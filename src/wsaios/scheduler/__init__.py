"""The hub: it decides, commits, and only then lets anything leave."""
