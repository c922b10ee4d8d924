"""Helpers that every package may use: files, fingerprints, seeding, precision, processes."""
