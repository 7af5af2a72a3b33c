"""Entry points of the DVC stages: each reads its parameters, calls components, writes what dvc.yaml names."""
