"""Models that write token by token."""
