"""The checks of definitions; they yield each problem with its place."""
