"""What every domain shares: folders, options, training, export. Knows no domain."""
