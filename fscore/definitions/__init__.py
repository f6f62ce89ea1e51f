"""The definitions that people write: entities, views, services, and the folders of them."""
