"""The four kinds of views, which people declare by class statements."""
