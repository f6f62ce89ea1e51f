"""The tools to measure with: machines, servers, loads, clocks, reports."""
