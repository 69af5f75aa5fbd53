"""A reports site with pages to browse and files to export."""
