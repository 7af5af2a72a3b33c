"""The core: arguments and explicit paths in, values and files out.

Nothing here knows Prefect, MLflow, DVC, YAML, the command line, the environment or the clock;
import-linter keeps it so (see pyproject.toml). Start with the folder named after the part you want.
"""
