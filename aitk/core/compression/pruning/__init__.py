"""Pruning: of single weights, channels, heads, units and layers."""
