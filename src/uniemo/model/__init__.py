"""UniEmo as one LightningModule: its parts wired, its losses summed."""
