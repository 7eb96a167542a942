"""The graph of a network, from the user's layers down to what one core does."""
