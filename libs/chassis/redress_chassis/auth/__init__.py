"""Who calls: tokens, their keys, and the roles in them."""
