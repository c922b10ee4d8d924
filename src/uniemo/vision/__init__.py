"""Frozen networks that look at images, their cached features, linear probes on them."""
