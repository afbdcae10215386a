"""Private training, and what a run gives away about its training rows."""
