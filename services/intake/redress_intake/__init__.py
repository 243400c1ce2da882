"""The front door: channels, registration, identity, the customer's own later words."""
