"""usage: mandatory.py fscore|fscore_server

A program for an environment with a wheel and what that cannot do without: nothing is missing.
"""

import importlib
import importlib.util
import pkgutil
import sys

import fscore

LEFT_OUT = {"fscore": {"pyarrow", "uvloop", "fscore_server"}, "fscore_server": {"opentelemetry"}}
# Imported by who asks for it alone, and each for one of those.
FOR_THE_OPTIONAL = {"fscore.interop.arrow", "fscore_server.telemetry.spans"}

package = importlib.import_module(sys.argv[1])
left_out = LEFT_OUT[package.__name__]
assert str(package.__file__).startswith(sys.prefix), package.__file__
assert {name for name in left_out if importlib.util.find_spec(name)} == set()
for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
    # A program rather than a module: importing it runs it.
    if not module.name.endswith("__main__") and module.name not in FOR_THE_OPTIONAL:
        importlib.import_module(module.name)

# Something that goes through the extension and NumPy.
computed = fscore.evaluate(fscore.request["amount"] / 2, {}, request={"amount": [3, None]})
assert list(computed.statuses) == [0, 1] and computed.values[0] == 1.5, computed
