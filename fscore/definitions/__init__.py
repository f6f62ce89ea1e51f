"""What people write: entities, views, services, and the folders that hold them."""
