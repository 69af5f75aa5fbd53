"""Collections to search: a wiki, a file of invoices, a market with filters."""
