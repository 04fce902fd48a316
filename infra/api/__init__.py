"""The Python API behind `import orograph`: arrays and paths in, arrays with CRS and vertical frame out."""
