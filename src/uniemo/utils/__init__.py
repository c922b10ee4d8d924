"""What every room may use: files, fingerprints, seeding, precision, processes."""
