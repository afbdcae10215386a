"""The commands: one file each, their options, and what a person sees of them."""
