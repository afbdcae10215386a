"""Stages in parts: separate processes make the parts, which are then joined."""
