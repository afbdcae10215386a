"""Checks of images and annotations."""
