"""The faces that programs use."""
