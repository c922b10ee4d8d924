"""The three phases: what each trains, loads and writes."""
