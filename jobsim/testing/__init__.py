"""Public tools for tests: of stores, of workers that crash, and of the histories that both leave."""
