"""User files to rows: formats, cleaning, checks."""
