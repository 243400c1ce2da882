"""What goes on by itself: projecting, parking, deciding what is due, and watching whether all of it goes on."""
