"""Migration of a feature view from one layout to the other, while it is in use."""
