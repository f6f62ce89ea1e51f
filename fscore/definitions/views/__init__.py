"""The four kinds of views, as class statements."""
