"""The return visit, the customer's satisfaction, and the closing."""
