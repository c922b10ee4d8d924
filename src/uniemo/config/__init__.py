"""The settings of an experiment, and how they are read from YAML files and flags."""
