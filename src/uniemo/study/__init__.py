"""Is it true? The claims of the method, each against its alternatives, as one resumable command."""
