"""Where documents come from: a source yields documents and names what it could not read."""
