"""A company's dashboard: boards of figures, long tables, sortable grids and records in tabs."""
