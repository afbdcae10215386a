"""Parts common to every domain: folders, options, training, export. Independent of the domains."""
