"""Stages in parts: each made by a process of its own, then put together."""
