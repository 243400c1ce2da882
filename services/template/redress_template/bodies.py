"""What is sent to template: nothing yet."""
