"""The shell: the only code that knows Prefect, DVC, MLflow and params.yaml. See README.md in this folder."""
