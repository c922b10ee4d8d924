"""LightningCLI configurations, one per experiment; `uniemo configs` lists them."""
