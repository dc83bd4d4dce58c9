"""Brokers that are asked over the network, one package each. They are read, never traded at."""
