"""What the live world has besides the engine: handlers, payloads, and a worker in this process."""
