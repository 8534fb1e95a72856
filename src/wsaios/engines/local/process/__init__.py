"""The lane of worker processes: what stands on this side of the pipes, and the worker itself."""
