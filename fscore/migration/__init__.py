"""A view on its way from one layout to the other."""
