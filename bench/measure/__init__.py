"""How it is measured: machines, servers, loads, clocks, reports."""
