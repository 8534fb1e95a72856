"""The six components; none knows another."""
