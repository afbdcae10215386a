"""File input and output: text, tables, JSON, images."""
