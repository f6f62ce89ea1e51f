"""usage: mandatory.py fscore|fscore_server

Check that a wheel works with its mandatory dependencies alone. Run it in an environment that has
only these.
"""

import importlib
import importlib.util
import pkgutil
import sys

import fscore

LEFT_OUT = {"fscore": {"pyarrow", "uvloop", "fscore_server"}, "fscore_server": {"opentelemetry"}}
# Modules that need an optional dependency, and are imported only if a caller asks for it.
FOR_THE_OPTIONAL = {"fscore.interop.from_arrow", "fscore_server.telemetry.spans"}

package = importlib.import_module(sys.argv[1])
left_out = LEFT_OUT[package.__name__]
assert str(package.__file__).startswith(sys.prefix), package.__file__
assert {name for name in left_out if importlib.util.find_spec(name)} == set()
for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
    # `__main__` is a program: importing it runs it.
    if not module.name.endswith("__main__") and module.name not in FOR_THE_OPTIONAL:
        importlib.import_module(module.name)

# A call that uses the extension and NumPy.
computed = fscore.evaluate(fscore.request["amount"] / 2, {}, request={"amount": [3, None]})
assert list(computed.statuses) == [0, 1] and computed.values[0] == 1.5, computed
