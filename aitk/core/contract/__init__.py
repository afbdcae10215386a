"""The interface between tasks, models and stages."""
