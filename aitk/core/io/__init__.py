"""Files in and out: text, tables, JSON, images."""
