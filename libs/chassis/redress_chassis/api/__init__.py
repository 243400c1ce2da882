"""What an endpoint of JSON is made of: bodies, commands, idempotency, ETags, pages, the OpenAPI document."""
