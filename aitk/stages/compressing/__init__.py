"""What ``compress`` does: smaller models, number formats, searches, bundles."""
