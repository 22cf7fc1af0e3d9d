"""Which folder may import what, read from import lines without running any of the code."""

import ast
import sys
from dataclasses import dataclass

FOLDERS = ("datasets", "forecasting", "reservoir")
LINES_AT_MOST = 600

# Optional packages are imported inside the function that needs them.
OPTIONAL = {
    "dask",
    "distributed",
    "matplotlib",
    "narwhals",
    "onnx",
    "onnxruntime",
    "optuna",
    "polars",
    "pyarrow",
    "safetensors",
    "sktime",
}
# A module here is named after the one library that it needs, and is imported by name alone.
ADAPTERS = "echocast.forecasting.adapters"
FORBIDDEN_KEYWORDS = {"parallel", "fastmath", "allow_pickle"}


@dataclass(frozen=True)
class Import:
    """One imported module: its dotted name, how it was reached and where it stands."""

    name: str
    line: int
    at_module_level: bool
    relative: bool


def _nodes(tree):
    """Yield (node, whether it runs when the module is imported)."""
    stack = [(child, True) for child in ast.iter_child_nodes(tree)]
    while stack:
        node, at_import = stack.pop()
        yield node, at_import
        inside = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        # `if TYPE_CHECKING:` is read by type checkers alone.
        typing_only = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        stack += [
            (child, at_import and not inside and not typing_only)
            for child in ast.iter_child_nodes(node)
        ]


def imports_of(source, package):
    """Return the imports of `source`, a module that stands in `package` ("echocast.reservoir")."""
    found = []
    for node, at_import in _nodes(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [Import(alias.name, node.lineno, at_import, False) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, base] if base else parents)
            # `from echocast import datasets` names a module in the list of names.
            names = [base] + (
                [f"{base}.{alias.name}" for alias in node.names] if base == "echocast" else []
            )
            found += [Import(name, node.lineno, at_import, node.level > 0) for name in names]
    return found


def _broken_rule(imported, folder, package):
    """Return the sentence of the rule that one import breaks, or None."""
    top = imported.name.split(".")[0]
    parts = imported.name.split(".")
    target = parts[1] if top == "echocast" and len(parts) > 1 and parts[1] in FOLDERS else None
    if top in FOLDERS:
        return f"`{top}` is `echocast.{top}`"
    if top in OPTIONAL and imported.at_module_level and package != ADAPTERS:
        return f"{top} is optional: import it inside the function that needs it"
    if top not in ("echocast", *sys.stdlib_module_names) and any(
        part.startswith("_") for part in parts
    ):
        return f"{imported.name} is private to {top}"
    if imported.name.startswith(ADAPTERS):
        return "adapters are imported by their users alone"
    if target is not None and target == folder and not imported.relative:
        return "imports inside a folder are relative"
    if target is not None and target != folder and imported.relative:
        return "imports across folders are absolute"
    if folder in ("datasets", "reservoir"):
        if top == "pandas" and imported.at_module_level:
            return f"{folder} imports no pandas at module level"
        if target not in (None, folder):
            return f"{folder} knows no other folder, least of all {target}"
    if folder == "forecasting":
        if top in ("numba", "llvmlite"):
            return "forecasting never imports numba"
        if target == "datasets":
            return "forecasting does not import datasets"
        if target == "reservoir" and any(part.startswith("_") for part in parts[2:]):
            return "forecasting uses the public names of echocast.reservoir"
    if folder == "leaf" and top not in ("numpy", "echocast", *sys.stdlib_module_names):
        return "the argument checks import NumPy alone"
    return None


def _is_true(keyword):
    return isinstance(keyword.value, ast.Constant) and keyword.value.value is True


def violations(source, folder, package=None):
    """Return sentences about each broken rule in one module's source.

    `folder` is one of `FOLDERS`, "front" for ``src/echocast`` or "leaf" for its argument checks.
    """
    package = package or (f"echocast.{folder}" if folder in FOLDERS else "echocast")
    said = []
    for imported in imports_of(source, package):
        rule = _broken_rule(imported, folder, package)
        if rule:
            said.append(f"line {imported.line}: {rule}")
    for node, _ in _nodes(ast.parse(source)):
        if isinstance(node, ast.keyword) and node.arg in FORBIDDEN_KEYWORDS and _is_true(node):
            said.append(f"line {node.value.lineno}: {node.arg}=True is never used")
    n_lines = source.count("\n")
    if n_lines > LINES_AT_MOST:
        said.append(f"{n_lines} lines: split modules over {LINES_AT_MOST} lines by idea")
    return said
