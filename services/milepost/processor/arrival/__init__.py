"""How records arrive: fetched by chunk, decoded or rejected, and stopped where too many fail."""
