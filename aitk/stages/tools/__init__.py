"""Commands across domains: tasks, doctor, init, demo."""
