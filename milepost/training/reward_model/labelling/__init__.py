"""The page on which people compare two episodes."""
